"""Ops that only move elements: they are run on the labels themselves."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import Node

from pocketfit.compress.prune.coupling import FIXED, compact, varying_axes
from pocketfit.compress.prune.trace import GETITEM, Rule, Trace, item
from pocketfit.graph.calls import arguments

__all__ = ["MOVES"]

aten = torch.ops.aten


def move(trace: Trace, node: Node) -> Any:
    """The op on labels."""
    return node.target(*trace.value(node.args), **trace.value(node.kwargs))  # type: ignore[operator]


def pick(trace: Trace, node: Node) -> Any:
    """Of one position, or of all of them apart: that axis cannot become shorter."""
    labels = trace.value(node.args[0])
    trace.keep_whole(labels, node.args[1] if len(node.args) > 1 else 0)  # type: ignore[arg-type]
    return move(trace, node)


def roll(trace: Trace, node: Node) -> Any:
    """What is rolled past the end of a shorter axis would come back somewhere else."""
    labels = trace.value(node.args[0])
    rolled: Any = (*node.args, [])[2] or range(labels.dim())
    trace.keep_whole(labels, *rolled)
    return move(trace, node)


def cut(trace: Trace, node: Node) -> Any:
    """A slice; one with steps leaves its axis whole."""
    _, axis, _, _, step = arguments(node, None, 0, None, None, 1)
    if step != 1:
        trace.keep_whole(trace.value(node.args[0]), axis)
    return move(trace, node)


def shuffle(trace: Trace, node: Node) -> Any:
    """Channels dealt out over groups: as many of each group have to stay."""
    labels = trace.value(node.args[0])
    groups: Any = node.args[1]
    lanes = trace.along(labels, 1).reshape(groups, -1)
    trace.coupling.unite(lanes, lanes[:1])
    return move(trace, node)


def pad(trace: Trace, node: Node) -> Any:
    """More rows or columns of the channels that are there, or more channels, which are new."""
    labels, edges = trace.value(node.args[0]), node.args[1]
    assert isinstance(edges, list | tuple)
    for place in range(len(edges) // 2):
        before, after = edges[2 * place], edges[2 * place + 1]
        labels = _padded(trace, labels, labels.dim() - 1 - place, before, after)  # type: ignore[arg-type]
    return labels


def _padded(trace: Trace, labels: torch.Tensor, axis: int, before: int, after: int) -> torch.Tensor:
    if (before, after) == (0, 0):
        return labels
    varies = axis in varying_axes(labels)
    if not varies:
        shape = list(labels.shape)
        shape[axis] += before + after
        return labels.narrow(axis, 0, 1).expand(shape)
    if min(before, after) < 0:
        trace.coupling.fix(labels)
        shape = list(labels.shape)
        shape[axis] += before + after
        return torch.tensor(FIXED).expand(shape)
    parts = [_new(trace, labels, axis, before), compact(labels), _new(trace, labels, axis, after)]
    sizes = [max(part.shape[other] for part in parts) for other in range(labels.dim())]
    wide = [part.expand([part.shape[axis] if other == axis else sizes[other] for other in range(labels.dim())])
            for part in parts]  # fmt: skip
    joined = torch.cat(wide, axis)
    return joined.expand(
        [joined.shape[axis] if other == axis else labels.shape[other] for other in range(labels.dim())]
    )


def _new(trace: Trace, labels: torch.Tensor, axis: int, count: int) -> torch.Tensor:
    return trace.coupling.fresh(*[count if other == axis else 1 for other in range(labels.dim())])


MOVES: dict[object, Rule] = {
    GETITEM: item,
    aten.channel_shuffle.default: shuffle,
    aten.constant_pad_nd.default: pad,
    aten.pad.default: pad,
    aten.roll.default: roll,
    aten.select.int: pick,
    aten.slice.Tensor: cut,
    aten.unbind.int: pick,
} | dict.fromkeys(
    (
        aten.cat.default,
        aten.chunk.default,
        aten.clone.default,
        aten.contiguous.default,
        aten.expand.default,
        aten.expand_as.default,
        aten.flatten.using_ints,
        aten.movedim.int,
        aten.movedim.intlist,
        aten.permute.default,
        aten.repeat.default,
        aten.reshape.default,
        aten.reshape_as.default,
        aten.split.Tensor,
        aten.split_with_sizes.default,
        aten.squeeze.dim,
        aten.squeeze.dims,
        aten.stack.default,
        aten.t.default,
        aten.transpose.int,
        aten.unflatten.int,
        aten.unsqueeze.default,
        aten.view.default,
        aten._unsafe_view.default,
    ),
    move,
)
