"""Convolutions and linear layers: they read channels on one axis of the weight and write new ones on another."""

from __future__ import annotations

import torch
from torch.fx import Node

from pocketfit.compress.prune.rules.unknown import unknown
from pocketfit.compress.prune.trace import Role, Rule, Trace

__all__ = ["LAYERS", "groups_position", "layer"]

aten = torch.ops.aten

# Position of `groups` among the arguments.
_FORWARD: dict[object, int] = {aten.conv1d.default: 6, aten.conv2d.default: 6, aten.conv3d.default: 6}
_TRANSPOSED: dict[object, int] = {
    aten.conv_transpose1d.default: 6,
    aten.conv_transpose2d.input: 6,
    aten.conv_transpose3d.input: 6,
}


def groups_position(node: Node) -> int | None:
    """Where a convolution's groups stand among its arguments; None for anything else, and where there is one group."""
    position = {**_FORWARD, **_TRANSPOSED}.get(node.target)
    return position if position is not None and len(node.args) > position else None


def layer(trace: Trace, node: Node) -> torch.Tensor:
    """New channels, read from those of the input; depthwise and grouped ones keep to their groups."""
    weight, bias = node.args[1], (*node.args, None)[2]
    if not all(isinstance(one, Node) and one.op == "get_attr" for one in (weight, bias or weight)):
        result: torch.Tensor = unknown(trace, node)
        return result
    assert isinstance(weight, Node)
    linear = node.target is aten.linear.default
    shape = trace.shape(node)
    axis = -1 if linear else 1
    source = trace.value(node.args[0])
    read = trace.along(source, axis % source.dim())
    written = _dense(trace, node, weight, read) if groups_of(node) == 1 else _grouped(trace, node, weight, read)
    if isinstance(bias, Node):
        trace.slot(node, bias, 0, Role.PASSES, written)
    return written.reshape(-1, *[1] * (0 if linear else len(shape) - 2)).expand(shape)


def groups_of(node: Node) -> int:
    """Groups of a convolution; 1 for a linear layer."""
    position = groups_position(node)
    return 1 if position is None else int(node.args[position])  # type: ignore[arg-type]


def _dense(trace: Trace, node: Node, weight: Node, read: torch.Tensor) -> torch.Tensor:
    transposed = node.target in _TRANSPOSED
    trace.slot(node, weight, 0 if transposed else 1, Role.READS, read)
    return trace.slot(node, weight, 1 if transposed else 0, Role.WRITES)


def _grouped(trace: Trace, node: Node, weight: Node, read: torch.Tensor) -> torch.Tensor:
    """Whole groups leave where there are more groups than channels in one; else the same channels of every group."""
    groups = groups_of(node)
    lanes = read.reshape(groups, -1)
    if groups > lanes.shape[1]:
        return _by_group(trace, node, weight, lanes)
    trace.coupling.unite(lanes, lanes[:1])
    if node.target in _TRANSPOSED:
        trace.slot(node, weight, 0, Role.READS, read)
        return trace.slot(node, weight, 1, Role.WRITES).repeat(groups)
    trace.slot(node, weight, 1, Role.READS, lanes[0])
    written = trace.slot(node, weight, 0, Role.WRITES).reshape(groups, -1)
    trace.coupling.unite(written, written[:1])
    return written.flatten()


def _by_group(trace: Trace, node: Node, weight: Node, lanes: torch.Tensor) -> torch.Tensor:
    trace.coupling.unite(lanes, lanes[:, :1])
    width = trace.shape(node)[1] // len(lanes)
    rows = lanes.shape[1] if node.target in _TRANSPOSED else width
    trace.slot(node, weight, 0, Role.PASSES, lanes[:, 0].repeat_interleave(rows))
    return lanes[:, 0].repeat_interleave(width)


LAYERS: dict[object, Rule] = dict.fromkeys((*_FORWARD, *_TRANSPOSED, aten.linear.default), layer)
