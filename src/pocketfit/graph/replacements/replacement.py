"""What a replacement is: an op written as others that a runtime takes, or that bear quantization better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch.fx import GraphModule, Node

from pocketfit.graph.writer import Writer

__all__ = ["Replacement"]


@dataclass(frozen=True)
class Replacement:
    """One op and what stands in its place; done only when it is asked for.

    Args:
        name: as the user asks for it.
        becomes: what is computed instead, in one line.
        why: what it is good for.
        targets: the ops.
        write: adds the new nodes and returns their result; None where a call is to stay.
        equal: whether the same is computed, up to the rounding of floats. Where not, the error is to be measured on the
            model at hand, and training goes on with it, or it is accepted.
    """

    name: str
    becomes: str
    why: str
    targets: tuple[Any, ...]
    write: Callable[[Writer, Node], Node | None]
    equal: bool

    def apply(self, module: GraphModule) -> int:
        """Replace, in place, and return how many calls were replaced."""
        changes = 0
        for node in [node for node in module.graph.nodes if node.target in self.targets]:
            written = self.write(Writer(module, node), node)
            if written is not None:
                node.replace_all_uses_with(written)
                module.graph.erase_node(node)
                changes += 1
        module.graph.eliminate_dead_code()
        module.graph.lint()
        module.recompile()
        return changes
