"""Adaptive pooling by pooling with windows of one size."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import Node

from pocketfit.graph.replacements.replacement import Replacement
from pocketfit.graph.writer import Writer

__all__ = ["ADAPTIVE_POOLING"]

aten = torch.ops.aten


def _write(write: Writer, node: Node) -> Node | None:
    """No pass by default: a network for larger images, run tile by tile, would pool other windows."""
    window = _window(node)
    if window is None:
        return None
    x = node.args[0]
    if node.target is aten.adaptive_avg_pool2d.default:
        return write(aten.avg_pool2d.default, x, window, window)
    # Maxima come with their places; who asks for these keeps the op.
    if any(part.args[1] != 0 and part.users for part in node.users):
        return None
    written = write(aten.max_pool2d.default, x, window, window)
    for part in list(node.users):
        part.replace_all_uses_with(written)
    return written


def _window(pooling: Node) -> list[int] | None:
    """Rows and columns of a window, where all windows have as many."""
    x: Any = pooling.args[0]
    wanted: Any = pooling.args[1]
    given = x.meta["val"].shape[-2:]
    if not all(isinstance(size, int) for size in (*given, *wanted)):
        return None
    if any(size % parts for size, parts in zip(given, wanted, strict=True)):
        return None
    return [size // parts for size, parts in zip(given, wanted, strict=True)]


ADAPTIVE_POOLING = Replacement(
    name="adaptive-pooling",
    becomes="pooling with windows of one size, where sizes divide",
    why="for runtimes without adaptive pooling, ExecuTorch and LiteRT without that of maxima",
    targets=(aten.adaptive_avg_pool2d.default, aten.adaptive_max_pool2d.default),
    write=_write,
    equal=True,
)
