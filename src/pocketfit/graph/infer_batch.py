"""Write the batch as -1 where a reshape spells it out."""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from pocketfit.graph.base import Pass

__all__ = ["InferBatch"]

aten = torch.ops.aten


class InferBatch(Pass):
    """Give a reshape -1 for the batch and plain numbers for the rest.

    1. `view(x, [sym_size(x, 0), 8])` becomes `view(x, [-1, 8])`, so that no arithmetic on sizes is left in the graph:
       mobile runtimes have no counterpart for it.
    2. `view(x, [sym_size(x, 0), -1])` becomes `view(x, [-1, 144])`: the -1 moves to what is not known.
    3. A reshape with two sizes that depend on the batch stays as it is.
    """

    name = "infer-batch"

    def apply(self, module: GraphModule) -> int:
        """Rewrite and count the reshapes."""
        changes = 0
        for node in module.graph.nodes:
            sizes = _inferred(node) if node.target in _RESHAPES else None
            if sizes is not None:
                node.args = (node.args[0], sizes)
                changes += 1
        return changes


_RESHAPES = frozenset({aten.view.default, aten.reshape.default, aten._unsafe_view.default})


def _inferred(node: Node) -> list[int] | None:
    """The sizes with -1 for the only one that is not a number; None where none or several are not."""
    sizes = node.args[1]
    if not isinstance(sizes, list | tuple) or all(isinstance(size, int) for size in sizes):
        return None
    inferred = [size if isinstance(size, int) else -1 for size in node.meta["val"].shape]
    return inferred if inferred.count(-1) == 1 else None
