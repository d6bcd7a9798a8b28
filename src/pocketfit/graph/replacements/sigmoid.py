"""Sigmoid by hard-sigmoid."""

from __future__ import annotations

import torch
from torch.fx import Node

from pocketfit.graph.replacements.replacement import Replacement
from pocketfit.graph.writer import Writer

__all__ = ["SIGMOID"]

aten = torch.ops.aten


def _write(write: Writer, node: Node) -> Node:
    return write(aten.hardsigmoid.default, node.args[0])


SIGMOID = Replacement(
    name="sigmoid",
    becomes="clip(x + 3, 0, 6) / 6, hard-sigmoid; off by 0.07 at most",
    why="no exponential in the gates of squeeze-and-excite",
    targets=(aten.sigmoid.default,),
    write=_write,
    equal=False,
)
