"""Merge a batch normalisation into the layer before it."""

from __future__ import annotations

import operator
from dataclasses import dataclass

import torch
from torch.fx import GraphModule, Node

from pocketfit.graph.affine_layer import AffineLayer, affine_layer, parameters, spread, store
from pocketfit.graph.attributes import constant
from pocketfit.graph.base import Pass
from pocketfit.graph.norm_statistics import NormStatistics, record_norm_statistics

__all__ = ["FoldBatchNorm", "batch_norm_affine"]

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


_NORMS = frozenset({aten.batch_norm.default, aten._native_batch_norm_legit_no_training.default})


def _fold(module: GraphModule, norm_node: Node) -> int:
    layer, norm = _layer_before(module, norm_node), _norm(module, norm_node)
    if layer is None or norm is None:
        return 0
    weight, bias = parameters(module, layer)
    if not store(module, layer, weight * spread(norm.factor, weight, layer), bias * norm.factor + norm.offset):
        return 0
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


def _layer_before(module: GraphModule, norm_node: Node) -> AffineLayer | None:
    node = norm_node.args[0]
    if not isinstance(node, Node) or len(node.users) != 1:
        return None
    if node.target is aten.linear.default and node.meta["val"].dim() != 2:
        return None
    return affine_layer(module, node)


def batch_norm_affine(module: GraphModule, node: Node) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Factor and offset per channel, float64, of a normalisation by stored statistics; None for anything else."""
    norm = _norm(module, node) if node.target is aten.batch_norm.default else None
    return None if norm is None else (norm.factor, norm.offset)


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
