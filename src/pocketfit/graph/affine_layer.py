"""Convolutions and linear layers whose weights are constants of the graph: read, and written anew."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.fx import GraphModule, Node

from pocketfit.graph.attributes import constant, free_path, set_tensor, uses
from pocketfit.graph.calls import arguments, per_axis
from pocketfit.graph.norm_statistics import forget_norm_statistics

__all__ = [
    "WEIGHTED",
    "AffineLayer",
    "Geometry",
    "affine_layer",
    "channels_last",
    "geometry",
    "parameters",
    "spread",
    "store",
]

aten = torch.ops.aten

_FORWARD = frozenset({aten.conv1d.default, aten.conv2d.default, aten.conv3d.default, aten.linear.default})
# Position of `groups` among the arguments; the weight is laid out (in, out / groups, …).
_TRANSPOSED: dict[object, int] = {aten.conv_transpose1d.default: 6, aten.conv_transpose2d.input: 6}

# Layers with a weight as their second argument.
WEIGHTED: frozenset[object] = _FORWARD | _TRANSPOSED.keys()


@dataclass(frozen=True)
class AffineLayer:
    """A layer that may be given other weights.

    Args:
        node: of the layer.
        weight: the get_attr node of its weight, which no other layer reads.
        axis: of the output channels in the weight.
        groups: 1 where the weight has all output channels on that axis.
    """

    node: Node
    weight: Node
    axis: int
    groups: int


def affine_layer(module: GraphModule, node: object) -> AffineLayer | None:
    """The layer that a node is; None where it is none, or its weight is shared or computed."""
    if not isinstance(node, Node) or not (node.target in _FORWARD or node.target in _TRANSPOSED):
        return None
    weight, bias = node.args[1], _bias_node(node)
    if not isinstance(weight, Node) or weight.op != "get_attr" or uses(module)[str(weight.target)] != 1:
        return None
    if bias is not None and bias.op != "get_attr":
        return None
    return AffineLayer(node, weight, *_axis_and_groups(node))


@dataclass(frozen=True)
class Geometry:
    """How a convolution slides; one number an axis."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int


def geometry(node: Node, axes: int | None = None) -> Geometry:
    """Of a convolution that is not transposed; a linear layer has no axes to slide along.

    Args:
        node: the layer.
        axes: along which it slides; None for those that its output says.
    """
    if node.target is aten.linear.default:
        return Geometry((), (), (), 1)
    axes = node.meta["val"].dim() - 2 if axes is None else axes
    *_, stride, padding, dilation, groups = arguments(node, None, None, None, [1], [0], [1], 1)
    stride, padding, dilation = (tuple(per_axis(values, axes)) for values in (stride, padding, dilation))
    return Geometry(stride, padding, dilation, groups)


def channels_last(node: Node, value: torch.Tensor) -> torch.Tensor:
    """What a layer gives or reads, with its channels on the last axis."""
    return value if node.target is aten.linear.default else value.movedim(1, -1)


def parameters(module: GraphModule, layer: AffineLayer) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias in float64; a layer without bias has zeros."""
    weight, bias = constant(module, layer.weight), constant(module, _bias_node(layer.node))
    assert weight is not None
    channels = weight.shape[layer.axis] * layer.groups
    zeros = torch.zeros(channels, dtype=torch.float64)
    return weight.double(), zeros if bias is None else bias.double()


def spread(factor: torch.Tensor, weight: torch.Tensor, layer: AffineLayer) -> torch.Tensor:
    """A factor per output channel, in a shape that multiplies the weight."""
    if layer.axis == 0:
        return factor.reshape(-1, *[1] * (weight.dim() - 1))
    per_group = factor.reshape(layer.groups, 1, -1).expand(-1, weight.shape[0] // layer.groups, -1)
    return per_group.reshape(weight.shape[0], -1, *[1] * (weight.dim() - 2))


def store(module: GraphModule, layer: AffineLayer, weight: torch.Tensor, bias: torch.Tensor) -> bool:
    """Give the layer these numbers, in float32; a layer without bias gets one beside its weight.

    What batch normalisation knew of the layer's output is forgotten.

    Returns:
        False, and nothing is changed, where a number would overflow.
    """
    weight, bias = weight.float(), bias.float()
    if not (weight.isfinite().all() and bias.isfinite().all()):
        return False
    path = str(layer.weight.target)
    set_tensor(module, path, weight)
    bias_path = _bias_path(module, layer, path)
    set_tensor(module, bias_path, bias)
    with module.graph.inserting_before(layer.node):
        bias_node = module.graph.get_attr(bias_path)
    bias_node.meta["val"] = bias
    layer.weight.meta["val"] = weight
    layer.node.args = (*layer.node.args[:2], bias_node, *layer.node.args[3:])
    forget_norm_statistics(layer.node)
    return True


def _axis_and_groups(node: Node) -> tuple[int, int]:
    position = _TRANSPOSED.get(node.target)
    if position is None:
        return 0, 1
    groups = node.args[position] if len(node.args) > position else 1
    assert isinstance(groups, int)
    return 1, groups


def _bias_node(node: Node) -> Node | None:
    bias = node.args[2] if len(node.args) > 2 else None
    return bias if isinstance(bias, Node) else None


def _bias_path(module: GraphModule, layer: AffineLayer, weight_path: str) -> str:
    """The bias the layer has, unless another layer reads it too; otherwise a free name beside the weight."""
    current = _bias_node(layer.node)
    if current is not None and uses(module)[str(current.target)] == 1:
        return str(current.target)
    owner, _, name = weight_path.rpartition(".")
    name = "bias" if name == "weight" else f"{name}_bias"
    return free_path(module, f"{owner}.{name}" if owner else name)
