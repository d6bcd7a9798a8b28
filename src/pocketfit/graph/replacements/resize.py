"""Resizes that runtimes lack or compute in their own ways, by the bilinear one that all have."""

from __future__ import annotations

import torch
from torch.fx import Node

from pocketfit.graph.calls import arguments
from pocketfit.graph.replacements.replacement import Replacement
from pocketfit.graph.writer import Writer

__all__ = ["ALIGN_CORNERS", "BICUBIC"]

aten = torch.ops.aten


def _bilinear(write: Writer, node: Node) -> Node:
    x, size, _, factors = arguments(node, None, None, False, None)
    return write(aten.upsample_bilinear2d.vec, x, size, False, factors)


def _half_pixels(write: Writer, node: Node) -> Node | None:
    aligned = arguments(node, None, None, False, None)[2]
    return _bilinear(write, node) if aligned else None


BICUBIC = Replacement(
    name="bicubic",
    becomes="a bilinear resize with aligned pixel areas",
    why="for runtimes without bicubic resizes: Core ML, and MNN, whose answers differ",
    targets=(aten.upsample_bicubic2d.vec,),
    write=_bilinear,
    equal=False,
)
ALIGN_CORNERS = Replacement(
    name="align-corners",
    becomes="a bilinear resize with aligned pixel areas, not corners",
    why="for accelerators that know one kind of bilinear resize",
    targets=(aten.upsample_bilinear2d.vec,),
    write=_half_pixels,
    equal=False,
)
