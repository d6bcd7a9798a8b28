"""Low-rank factorisation: one layer as a thin one and a pointwise one behind it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.fx import GraphModule, Node

from pocketfit.compress.compact.responses import responses
from pocketfit.compress.compact.slimmed import Rewritten, Slimmed, name_of, positions, rewritable, slimmed
from pocketfit.errors import OptionError
from pocketfit.graph.affine_layer import AffineLayer, affine_layer, geometry, parameters
from pocketfit.graph.writer import Writer
from pocketfit.types import LoadedModel

__all__ = ["factorise"]

aten = torch.ops.aten

_COUNTED = (aten.conv1d.default, aten.conv2d.default, aten.conv3d.default, aten.linear.default)
# Halvings of the interval in which the share that every layer may lose is looked for.
_HALVINGS = 50


@dataclass(frozen=True)
class _Layer:
    """A layer that may become two.

    Args:
        layer: in the graph that is rewritten.
        weight: out × (in · kernel), float64.
        bias: of out channels.
        mean: of what it gives.
        directions: out × out, orthogonal: the one that what it gives varies along most is the first column.
        lost: shares of the variance that are lost with 0, 1, … directions kept.
    """

    layer: AffineLayer
    weight: torch.Tensor
    bias: torch.Tensor
    mean: torch.Tensor
    directions: torch.Tensor
    lost: np.ndarray

    @property
    def macs(self) -> int:
        return positions(self.layer.node) * self.weight.numel()

    def macs_with(self, rank: int) -> int:
        return positions(self.layer.node) * rank * sum(self.weight.shape)

    def rank(self, lost: float, round_to: int) -> int | None:
        """The least that loses no more than that share; None where the layer as it is is cheaper."""
        least = int(np.argmax(self.lost <= lost))
        rank = max(round_to, -(-least // round_to) * round_to)
        return rank if self.macs_with(rank) < self.macs else None


def factorise(model: LoadedModel, macs: float, batches: Sequence[np.ndarray] = (), *, round_to: int = 8) -> Slimmed:
    """Write layers as two, each losing the same share of its variance, until the budget is met.

    With samples, the directions that are kept are those in which the layer's answers vary; without, those of its
    weight, as if its inputs were white noise.

    Args:
        model: in canonical form; it is not changed.
        macs: share of the multiply-accumulates of convolutions and linear layers that may stay, above 0 and below 1.
        batches: unlabelled samples, float32 in the model's layout, batch first.
        round_to: ranks are a multiple of this, which kernels like.

    Raises:
        OptionError: the budget cannot be met.

    Source: Zhang et al., "Accelerating Very Deep Convolutional Networks for Classification and Detection", 2015,
        section 3.1: the linear case, by the principal components of the responses.
    """
    graph = rewritable(model)
    layers = _layers(graph, batches)
    before = sum(positions(node) * _numbers(node) for node in graph.graph.nodes if node.target in _COUNTED)
    lost = _smallest_loss(layers, before, macs, round_to)
    done = []
    for layer in layers:
        rank = layer.rank(lost, round_to)
        if rank is not None:
            done.append(_rewritten(layer, rank))
            _replace(graph, layer, rank)
    return slimmed(model, graph, done)


def _layers(graph: GraphModule, batches: Iterable[np.ndarray]) -> list[_Layer]:
    candidates = [layer for node in graph.graph.nodes if (layer := _candidate(graph, node)) is not None]
    seen = responses(graph, {layer.node for layer in candidates}, batches)
    layers = []
    for layer in candidates:
        weight, bias = parameters(graph, layer)
        flat = weight.flatten(1)
        moments = seen.get(layer.node)
        covariance = flat @ flat.T if moments is None else moments.covariance
        values, directions = torch.linalg.eigh(covariance)
        energy = values.clamp_min(0).flip(0)
        total = float(energy.sum()) or 1.0
        lost = 1 - np.concatenate([[0.0], energy.cumsum(0).numpy() / total])
        # The whole rank loses nothing, whatever rounding says.
        lost[-1] = 0.0
        mean = bias if moments is None else moments.mean
        layers.append(_Layer(layer, flat, bias, mean, directions.flip(1), lost))
    return layers


def _candidate(graph: GraphModule, node: Node) -> AffineLayer | None:
    if node.target not in (aten.conv2d.default, aten.linear.default):
        return None
    layer = affine_layer(graph, node)
    return layer if layer is not None and geometry(node).groups == 1 else None


def _numbers(node: Node) -> int:
    return int(node.args[1].meta["val"].numel())  # type: ignore[union-attr]


def _smallest_loss(layers: Sequence[_Layer], before: int, macs: float, round_to: int) -> float:
    def after(lost: float) -> int:
        ranks = [layer.rank(lost, round_to) for layer in layers]
        saved = [layer.macs - layer.macs_with(rank) for layer, rank in zip(layers, ranks, strict=True) if rank]
        return before - sum(saved)

    if not 0 < macs < 1:
        raise OptionError(f"{macs} of the multiply-accumulates is no budget. Give a share above 0 and below 1.")
    if after(1.0) > macs * before:
        raise OptionError(
            f"{macs:.0%} of the multiply-accumulates cannot be reached: with {round_to} directions left in every layer "
            f"that can be written as two, {after(1.0) / before:.1%} remain. Ask for more."
        )
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if after(middle) <= macs * before else (middle, high)
    return high


def _rewritten(layer: _Layer, rank: int) -> Rewritten:
    return Rewritten(
        name=name_of(layer.layer.node),
        parameters=(layer.weight.numel(), rank * sum(layer.weight.shape)),
        macs=(layer.macs, layer.macs_with(rank)),
        lost=float(layer.lost[rank]),
    )


def _replace(graph: GraphModule, layer: _Layer, rank: int) -> None:
    """y ≈ U Uᵀ (W x + b - m) + m, with the first `rank` directions as U and the mean m."""
    node = layer.layer.node
    directions = layer.directions[:, :rank]
    shape: torch.Size = node.args[1].meta["val"].shape  # type: ignore[union-attr]
    thin = (directions.T @ layer.weight).reshape(rank, *shape[1:]).float()
    bias = (directions @ (directions.T @ (layer.bias - layer.mean)) + layer.mean).float()
    wide = directions.reshape(len(directions), rank, *[1] * (len(shape) - 2)).float().contiguous()
    write, name = Writer(graph, node), str(layer.layer.weight.target)
    source: Node = node.args[0]  # type: ignore[assignment]
    like = layer.layer.weight
    first = write.constant(f"{name}_thin", thin, like)
    second, offset = write.constant(f"{name}_wide", wide, like), write.constant(f"{name}_offset", bias, like)
    if node.target is aten.linear.default:
        result = write(aten.linear.default, write(aten.linear.default, source, first), second, offset)
    else:
        slides = geometry(node)
        narrow = write(
            aten.conv2d.default, source, first, None, [*slides.stride], [*slides.padding], [*slides.dilation], 1
        )
        result = write(aten.conv2d.default, narrow, second, offset)
    node.replace_all_uses_with(result)
    graph.graph.erase_node(node)
