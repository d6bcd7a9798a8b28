"""Pooling, resizing and pixel shuffles: each channel by itself."""

from __future__ import annotations

import torch
from torch.fx import Node

from pocketfit.compress.prune.trace import Rule, Trace

__all__ = ["SPATIAL"]

aten = torch.ops.aten


def spatial(trace: Trace, node: Node) -> torch.Tensor:
    """Other positions of the same channels."""
    return _spread(trace, node, trace.along(trace.value(node.args[0]), 1))


def pixel_shuffle(trace: Trace, node: Node) -> torch.Tensor:
    """Several channels become one of a finer grid."""
    lanes = trace.along(trace.value(node.args[0]), 1).reshape(trace.shape(node)[1], -1)
    trace.coupling.unite(lanes, lanes[:, :1])
    return _spread(trace, node, lanes[:, 0])


def pixel_unshuffle(trace: Trace, node: Node) -> torch.Tensor:
    """One channel becomes several of a coarser grid."""
    channels = trace.along(trace.value(node.args[0]), 1)
    return _spread(trace, node, channels.repeat_interleave(trace.shape(node)[1] // len(channels)))


def _spread(trace: Trace, node: Node, channels: torch.Tensor) -> torch.Tensor:
    shape = trace.shape(node)
    return channels.reshape(-1, *[1] * (len(shape) - 2)).expand(shape)


SPATIAL: dict[object, Rule] = dict.fromkeys(
    (
        aten.adaptive_avg_pool1d.default,
        aten.adaptive_avg_pool2d.default,
        aten.avg_pool1d.default,
        aten.avg_pool2d.default,
        aten.max_pool1d.default,
        aten.max_pool2d.default,
        aten.upsample_bilinear2d.vec,
        aten.upsample_bicubic2d.vec,
        aten.upsample_linear1d.vec,
        aten.upsample_nearest1d.vec,
        aten.upsample_nearest2d.vec,
    ),
    spatial,
) | {aten.pixel_shuffle.default: pixel_shuffle, aten.pixel_unshuffle.default: pixel_unshuffle}
