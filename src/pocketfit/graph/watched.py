"""A graph that is run while somebody looks on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.fx import GraphModule, Interpreter, Node

__all__ = ["Watched"]


class Watched(Interpreter):
    """Runs a graph and shows each op's result and first input.

    Args:
        graph: what is run.
        watch: told the node, its result, and what it read first; None where that is no other node's result.
    """

    def __init__(self, graph: GraphModule, watch: Callable[[Node, Any, Any], None]) -> None:
        super().__init__(graph)
        self.watch = watch

    def run_node(self, n: Node) -> Any:
        """Called by torch for each node in turn."""
        first = self.env.get(n.args[0]) if n.args and isinstance(n.args[0], Node) else None
        result = super().run_node(n)
        self.watch(n, result, first)
        return result
