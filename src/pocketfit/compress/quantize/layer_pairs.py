"""Pairs of layers between which the scale of a channel can be moved without changing the function.

    second(f(first(x)))   with   f(x / s) = f(x) / s   for every s > 0, channel by channel

So the first layer's channel may be divided by s and the second's weights for it be multiplied by s. This holds where
nothing else reads what lies between, and f consists of

1. ReLU, leaky ReLU, PReLU, and the minimum with a constant per channel, which is divided along;
2. behind a convolution: padding with zeros, pooling, resizing, the mean over positions, and flattening.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.fx import GraphModule, Node

from pocketfit.compress.quantize.arithmetic import channel_axis
from pocketfit.compress.quantize.placement import is_layer
from pocketfit.graph.attributes import constant, get_tensor, uses

__all__ = ["LayerPair", "by_input_channel", "layer_pairs", "scale_inputs"]

aten = torch.ops.aten

_ACTIVATIONS = frozenset(
    {aten.leaky_relu.default, aten.minimum.default, aten.prelu.default, aten.relu.default},
)
_POSITIONS = frozenset(
    {
        aten.adaptive_avg_pool2d.default,
        aten.avg_pool2d.default,
        aten.max_pool1d.default,
        aten.max_pool2d.default,
        aten.upsample_bilinear2d.vec,
        aten.upsample_nearest2d.vec,
    }
)
_PADDING = frozenset({aten.constant_pad_nd.default, aten.pad.default})
_FLATTENING = frozenset({aten.flatten.using_ints, aten.reshape.default, aten.view.default})
# Where among the arguments of a convolution its groups are.
_GROUPS = 6


@dataclass(frozen=True)
class LayerPair:
    """Two layers and what lies between them.

    Args:
        first: the layer that writes the channels.
        second: the layer that reads them, and nothing else does.
        between: the nodes between the two, in order.
        channels: how many there are.
        groups: of the second layer.
    """

    first: Node
    second: Node
    between: tuple[Node, ...]
    channels: int
    groups: int


def layer_pairs(graph: GraphModule, also: frozenset[Node] = frozenset()) -> tuple[LayerPair, ...]:
    """All pairs of a canonical graph, in graph order.

    Args:
        graph: the canonical graph.
        also: further nodes that may lie between two layers, because they are about to be replaced.
    """
    shared = {path for path, count in uses(graph).items() if count > 1}
    pairs = (_pair(graph, node, also) for node in graph.graph.nodes if is_layer(node))
    return tuple(pair for pair in pairs if pair is not None and _owns_weights(pair, shared))


def by_input_channel(weight: torch.Tensor, pair: LayerPair) -> torch.Tensor:
    """The second layer's weights as channels × weights that read the channel."""
    return _split(weight, pair).transpose(1, 2).reshape(pair.channels, -1)


def scale_inputs(weight: torch.Tensor, pair: LayerPair, scales: torch.Tensor) -> torch.Tensor:
    """The second layer's weights, those that read a channel multiplied by its scale."""
    return (_split(weight, pair) * scales.reshape(pair.groups, 1, -1, 1)).reshape(weight.shape)


def _split(weight: torch.Tensor, pair: LayerPair) -> torch.Tensor:
    """Groups × outputs of a group × inputs of a group × weights; a flattened channel is several columns."""
    groups = pair.groups
    return weight.reshape(groups, weight.shape[0] // groups, pair.channels // groups, -1)


def _pair(graph: GraphModule, first: Node, also: frozenset[Node]) -> LayerPair | None:
    channels = len(get_tensor(graph, _path(first.args[1])))
    between: list[Node] = []
    node = first
    while len(node.users) == 1:
        user = next(iter(node.users))
        if is_layer(user) and user.args[0] is node:
            fits = _reads_channels(first, node, user)
            return LayerPair(first, user, tuple(between), channels, _groups(user)) if fits else None
        if user not in also and not _is_homogeneous(graph, first, node, user, channels):
            return None
        between.append(user)
        node = user
    return None


def _is_homogeneous(graph: GraphModule, first: Node, node: Node, user: Node, channels: int) -> bool:
    if user.op != "call_function" or user.args[0] is not node:
        return False
    if user.target is aten.minimum.default:
        return _is_limit(constant(graph, user.args[1]), node.meta["val"].dim(), channel_axis(first), channels)
    if user.target in _ACTIVATIONS:
        return True
    return first.target is not aten.linear.default and _keeps_channels(node, user)


def _is_limit(limit: torch.Tensor | None, dimensions: int, axis: int, channels: int) -> bool:
    """Whether a constant holds one number per channel."""
    return limit is not None and limit.dim() == dimensions and limit.numel() == limit.shape[axis] == channels


def _keeps_channels(node: Node, user: Node) -> bool:
    """Whether the node works on positions alone, all channels alike, along axis 1."""
    shape = tuple(node.meta["val"].shape)
    if user.target in _FLATTENING:
        flat = tuple(user.meta["val"].shape)
        return len(flat) == 2 and flat[1] == math.prod(shape[1:])
    if user.target is aten.mean.dim:
        axes = user.args[1]
        return isinstance(axes, list | tuple) and all(isinstance(axis, int) and axis % len(shape) >= 2 for axis in axes)
    return user.target in _POSITIONS or _pads_positions(user, len(shape))


def _pads_positions(node: Node, dimensions: int) -> bool:
    """Whether the node pads with zeros, or with values of its input."""
    if node.target not in _PADDING:
        return False
    widths, *more = node.args[1:]
    value = [argument for argument in more if not isinstance(argument, str)]
    return isinstance(widths, list | tuple) and len(widths) <= 2 * (dimensions - 2) and not any(value)


def _reads_channels(first: Node, node: Node, second: Node) -> bool:
    """Whether the axis that the second layer sums over is the one that the first one writes."""
    if first.target is aten.linear.default:
        return second.target is aten.linear.default
    return second.target is not aten.linear.default or node.meta["val"].dim() == 2


def _owns_weights(pair: LayerPair, shared: set[str]) -> bool:
    changed = [*pair.first.args[1:3], pair.second.args[1]]
    limits = [node.args[1] for node in pair.between if node.target is aten.minimum.default]
    return shared.isdisjoint(_path(node) for node in changed + limits if node is not None)


def _groups(layer: Node) -> int:
    groups = layer.args[_GROUPS] if len(layer.args) > _GROUPS else 1
    assert isinstance(groups, int)
    return groups


def _path(node: object) -> str:
    assert isinstance(node, Node)  # a constant of a layer
    return str(node.target)
