"""Merge a batch normalisation into the layer before it."""

from __future__ import annotations

import operator
from dataclasses import dataclass

import torch
from torch.fx import GraphModule, Node

from pocketfit.graph.attributes import constant, free_path, set_tensor, uses
from pocketfit.graph.base import Pass
from pocketfit.graph.norm_statistics import NormStatistics, record_norm_statistics

__all__ = ["FoldBatchNorm"]

aten = torch.ops.aten


class FoldBatchNorm(Pass):
    """Fold `batch_norm(conv(x))` into the weight and bias of the convolution.

    With factor γ/√(σ²+ε) per output channel, the weight is multiplied by it and the bias becomes (b-μ)·factor + β.

    1. After conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d and a linear layer with two-dimensional output.
    2. A layer without bias gets one, beside its weight.
    3. Left alone: a layer whose result something else reads too, or whose weight another layer shares; a normalisation
       that follows anything else, such as an activation; one that uses the statistics of the batch; and one whose
       variance is so small that the folded weight would overflow.
    4. The layer remembers what the normalisation knew of its output: see `norm_statistics`.

    Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
    Inference", 2018, section 3.2, equation 14.
    """

    name = "fold-batch-norm"
    # Every layer rounds differently once the factor is inside its weight; over fifty layers this adds up to some 1e-5.
    tolerance = 1e-4

    def apply(self, module: GraphModule) -> int:
        """Fold where it is exact and count the normalisations that went."""
        return sum(_fold(module, node) for node in list(module.graph.nodes) if node.target in _NORMS)


@dataclass(frozen=True)
class _Norm:
    """Factor and offset per channel, float64: batch_norm(x) = x · factor + offset; and what comes out in training."""

    factor: torch.Tensor
    offset: torch.Tensor
    statistics: NormStatistics


@dataclass(frozen=True)
class _Layer:
    """The layer before a normalisation: its node, the get_attr node of its weight, its output-channel axis, groups."""

    node: Node
    weight: Node
    axis: int
    groups: int


_NORMS = frozenset({aten.batch_norm.default, aten._native_batch_norm_legit_no_training.default})
_FORWARD = frozenset({aten.conv1d.default, aten.conv2d.default, aten.conv3d.default, aten.linear.default})
# Position of `groups` among the arguments; the weight is laid out (in, out / groups, …).
_TRANSPOSED: dict[object, int] = {aten.conv_transpose1d.default: 6, aten.conv_transpose2d.input: 6}


def _fold(module: GraphModule, norm_node: Node) -> int:
    layer, norm = _layer_before(module, norm_node), _norm(module, norm_node)
    if layer is None or norm is None:
        return 0
    folded = _folded(module, layer, norm)
    if folded is None:
        return 0
    _write(module, layer, *folded)
    record_norm_statistics(layer.node, norm.statistics)
    result = _result_of(norm_node)
    result.replace_all_uses_with(layer.node)
    module.graph.erase_node(result)
    return 1


def _result_of(norm_node: Node) -> Node:
    """The normalised tensor: the node itself, or the first of the three tensors that the native operation returns."""
    if norm_node.target is aten.batch_norm.default:
        return norm_node
    return next(user for user in norm_node.users if user.target is operator.getitem and user.args[1] == 0)


def _layer_before(module: GraphModule, norm_node: Node) -> _Layer | None:
    node = norm_node.args[0]
    if (
        not isinstance(node, Node)
        or len(node.users) != 1
        or not (node.target in _FORWARD or node.target in _TRANSPOSED)
    ):
        return None
    weight = node.args[1]
    if not isinstance(weight, Node) or weight.op != "get_attr" or uses(module)[str(weight.target)] != 1:
        return None
    if node.target is aten.linear.default and node.meta["val"].dim() != 2:
        return None
    return _Layer(node, weight, *_axis_and_groups(node))


def _axis_and_groups(node: Node) -> tuple[int, int]:
    position = _TRANSPOSED.get(node.target)
    if position is None:
        return 0, 1
    groups = node.args[position] if len(node.args) > position else 1
    assert isinstance(groups, int)
    return 1, groups


def _norm(module: GraphModule, node: Node) -> _Norm | None:
    if node.target is aten.batch_norm.default:
        _, gamma, beta, mean, variance, training, _, epsilon, _ = node.args
    else:
        _, gamma, beta, mean, variance, _, epsilon = node.args
        training = False
    mu, sigma2 = _double(module, mean), _double(module, variance)
    if training or mu is None or sigma2 is None:
        return None
    assert isinstance(epsilon, float)
    scale = _or(_double(module, gamma), torch.ones_like(sigma2))
    center = _or(_double(module, beta), torch.zeros_like(mu))
    factor = torch.rsqrt(sigma2 + epsilon) * scale
    return _Norm(factor, center - mu * factor, NormStatistics(center.float(), scale.abs().float()))


def _double(module: GraphModule, node: object) -> torch.Tensor | None:
    value = constant(module, node)
    return None if value is None else value.double()


def _or(value: torch.Tensor | None, default: torch.Tensor) -> torch.Tensor:
    return default if value is None else value


def _folded(module: GraphModule, layer: _Layer, norm: _Norm) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Folded weight and bias in float32; None where they would overflow or the layer's bias is not a plain weight."""
    weight, bias_node = _double(module, layer.weight), _bias_node(layer.node)
    bias = _double(module, bias_node)
    if weight is None or (bias_node is not None and bias is None):
        return None
    new_weight = (weight * _spread(norm.factor, weight, layer)).float()
    new_bias = (_or(bias, torch.zeros_like(norm.offset)) * norm.factor + norm.offset).float()
    finite = bool(new_weight.isfinite().all()) and bool(new_bias.isfinite().all())
    return (new_weight, new_bias) if finite else None


def _spread(factor: torch.Tensor, weight: torch.Tensor, layer: _Layer) -> torch.Tensor:
    """The factor in a shape that multiplies the weight along its output channels."""
    if layer.axis == 0:
        return factor.reshape(-1, *[1] * (weight.dim() - 1))
    per_group = factor.reshape(layer.groups, 1, -1).expand(-1, weight.shape[0] // layer.groups, -1)
    return per_group.reshape(weight.shape[0], -1, *[1] * (weight.dim() - 2))


def _bias_node(node: Node) -> Node | None:
    bias = node.args[2] if len(node.args) > 2 else None
    return bias if isinstance(bias, Node) else None


def _write(module: GraphModule, layer: _Layer, weight: torch.Tensor, bias: torch.Tensor) -> None:
    path = str(layer.weight.target)
    set_tensor(module, path, weight)
    bias_path = _bias_path(module, layer, path)
    set_tensor(module, bias_path, bias)
    with module.graph.inserting_before(layer.node):
        bias_node = module.graph.get_attr(bias_path)
    bias_node.meta["val"] = bias
    layer.node.args = (*layer.node.args[:2], bias_node, *layer.node.args[3:])


def _bias_path(module: GraphModule, layer: _Layer, weight_path: str) -> str:
    """The bias the layer has, unless another layer reads it too; otherwise a free name beside the weight."""
    current = _bias_node(layer.node)
    if current is not None and uses(module)[str(current.target)] == 1:
        return str(current.target)
    owner, _, name = weight_path.rpartition(".")
    name = "bias" if name == "weight" else f"{name}_bias"
    return free_path(module, f"{owner}.{name}" if owner else name)
