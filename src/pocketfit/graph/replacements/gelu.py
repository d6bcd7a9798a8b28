"""GELU by its form with tanh, or by a sigmoid."""

from __future__ import annotations

import torch
from torch.fx import Node

from pocketfit.graph.replacements.replacement import Replacement
from pocketfit.graph.writer import Writer

__all__ = ["GELU", "QUICK_GELU"]

aten = torch.ops.aten

# Source: Hendrycks and Gimpel 2016, "Gaussian Error Linear Units", section 2: x * sigmoid(1.702 x).
_SLOPE = 1.702


def _tanh(write: Writer, node: Node) -> Node | None:
    if node.kwargs.get("approximate", "none") != "none":
        return None
    x = node.args[0]
    assert isinstance(x, Node)
    with write.module.graph.inserting_before(node):
        written = write.module.graph.call_function(aten.gelu.default, (x,), {"approximate": "tanh"})
    written.meta = dict(node.meta)
    return written


def _quick(write: Writer, node: Node) -> Node:
    x = node.args[0]
    assert isinstance(x, Node)
    slope = write.constant(f"{node.name}_slope", torch.tensor([_SLOPE], dtype=x.meta["val"].dtype), x)
    return write(aten.mul.Tensor, x, write(aten.sigmoid.default, write(aten.mul.Tensor, x, slope)))


GELU = Replacement(
    name="gelu",
    becomes="GELU in its form with tanh; off by 0.0005 at most",
    why="for runtimes without the error function",
    targets=(aten.gelu.default,),
    write=_tanh,
    equal=False,
)
QUICK_GELU = Replacement(
    name="quick-gelu",
    becomes="x * sigmoid(1.702 x); off by 0.02 at most",
    why="cheaper than either form of GELU",
    targets=(aten.gelu.default,),
    write=_quick,
    equal=False,
)
