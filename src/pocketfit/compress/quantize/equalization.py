"""Cross-layer equalization: channels of alike weights, so that one scale, or one range, fits all of them.

Where the scale of a channel can be moved from a layer into the next one, both are given the geometric mean of their
two ranges:

    s_i = (1 / r2_i) · √(r1_i · r2_i),   W1 ← W1 / s,   b1 ← b1 / s,   W2 ← W2 · s,

r1_i being the largest magnitude among the weights that write channel i, r2_i among those that read it. Chains of pairs
are gone over until nothing changes. The model computes what it computed; only its weights are others.

Source: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction" (arXiv 1906.04721),
section 4.1, equations 8 to 11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch.fx import GraphModule, Node

from pocketfit.compress.quantize.layer_pairs import LayerPair, by_input_channel, layer_pairs, scale_inputs
from pocketfit.compress.quantize.relu6 import Relu6, open_relu6
from pocketfit.compress.quantize.same_function import prove_same
from pocketfit.graph.attributes import get_tensor
from pocketfit.graph.norm_statistics import NormStatistics, norm_statistics, record_norm_statistics
from pocketfit.models.weights import with_weights
from pocketfit.types import LoadedModel

__all__ = ["Equalized", "EqualizedPair", "Relu6", "equalize"]

# A channel that is scaled by more is dead in all but name: its weights would end up in the noise of float32.
LARGEST_SCALE = 1e3
# Pairs settle geometrically: some twenty rounds for the longest chains there are.
ROUNDS = 100
SETTLED = 1e-3


@dataclass(frozen=True)
class EqualizedPair:
    """What was moved between two layers.

    Args:
        first: name of the layer whose output channels were divided.
        second: name of the layer whose input channels were multiplied.
        scales: one positive factor per channel; 1 where the channel is zero in either layer.
    """

    first: str
    second: str
    scales: tuple[float, ...]


@dataclass(frozen=True)
class Equalized:
    """What equalization made of a model.

    Args:
        model: with other weights, and other node names where a ReLU6 was replaced.
        pairs: the equalized pairs, in graph order.
        notes: what was done, in plain sentences.
    """

    model: LoadedModel
    pairs: tuple[EqualizedPair, ...]
    notes: tuple[str, ...]


def equalize(model: LoadedModel, relu6: Relu6 = Relu6.KEEP) -> Equalized:
    """Equalize the channels of all pairs of layers between which a scale can be moved.

    Hard-swish, SiLU and GELU cannot be scaled through: layers before and after them stay as they are.

    Args:
        model: the canonical model; left as it is.
        relu6: what becomes of a ReLU6 between two layers.

    Raises:
        ModelError: the outcome computes something else, which no model should be able to bring about.
    """
    opened, replaced = open_relu6(model, relu6)
    pairs = layer_pairs(opened.graph)
    if not pairs:
        return Equalized(model, (), ("Cross-layer equalization found no pair of layers to equalize.",))
    weights, scales = _settled(opened.graph, pairs)
    equalized = with_weights(opened, {path: weight.float() for path, weight in weights.items()})
    _scale_norm_statistics(equalized.graph, pairs, scales)
    # A ReLU6 that became a ReLU is a change of function that was asked for; everything after it has to be exact.
    prove_same(opened if relu6 is Relu6.RELU else model, equalized, "Cross-layer equalization")
    return Equalized(equalized, _report(pairs, scales), _notes(pairs, scales, relu6, replaced))


Weights = dict[str, torch.Tensor]
Scales = Mapping[LayerPair, torch.Tensor]


def _settled(graph: GraphModule, pairs: tuple[LayerPair, ...]) -> tuple[Weights, Scales]:
    """Weights by path, float64, and the scales by which they came about."""
    weights = {path: get_tensor(graph, path).double() for pair in pairs for path in _paths(pair)}
    scales = {pair: torch.ones(pair.channels, dtype=torch.float64) for pair in pairs}
    for _ in range(ROUNDS):
        change = 0.0
        for pair in pairs:
            step = _step(weights, pair, scales[pair])
            _move(weights, pair, step)
            scales[pair] = scales[pair] * step
            change = max(change, float(step.log().abs().max()))
        if change < SETTLED:
            break
    return weights, scales


def _step(weights: Weights, pair: LayerPair, scales: torch.Tensor) -> torch.Tensor:
    """By how much each channel is to be divided now; `scales` is by how much it was already."""
    first = weights[_path(pair.first.args[1])].flatten(1).abs().amax(1)
    second = by_input_channel(weights[_path(pair.second.args[1])], pair).abs().amax(1)
    alive = (first > 0) & (second > 0)
    step = torch.where(alive, (first / second).sqrt(), torch.ones_like(first))
    return (scales * step).clamp(1 / LARGEST_SCALE, LARGEST_SCALE) / scales


def _move(weights: Weights, pair: LayerPair, step: torch.Tensor) -> None:
    weight, *divided = _divided(pair)
    weights[weight] = weights[weight] / step.reshape(-1, *[1] * (weights[weight].dim() - 1))
    for path in divided:
        weights[path] = weights[path] / step.reshape_as(weights[path])
    path = _path(pair.second.args[1])
    weights[path] = scale_inputs(weights[path], pair, step)


def _paths(pair: LayerPair) -> list[str]:
    return [*_divided(pair), _path(pair.second.args[1])]


def _divided(pair: LayerPair) -> list[str]:
    """The first layer's weight, its bias if it has one, and the limits of what clips its output."""
    limits = [node.args[1] for node in pair.between if node.target is torch.ops.aten.minimum.default]
    return [_path(node) for node in (*pair.first.args[1:3], *limits) if node is not None]


def _path(node: object) -> str:
    assert isinstance(node, Node)  # a constant of a layer
    return str(node.target)


def _scale_norm_statistics(graph: GraphModule, pairs: tuple[LayerPair, ...], scales: Scales) -> None:
    """What is remembered of a layer's output changes with the output."""
    nodes = {node.name: node for node in graph.graph.nodes}
    for pair in pairs:
        node, scale = nodes[pair.first.name], scales[pair].float()
        known = norm_statistics(node)
        if known is not None:
            record_norm_statistics(node, NormStatistics(known.mean / scale, known.std / scale))


def _report(pairs: tuple[LayerPair, ...], scales: Scales) -> tuple[EqualizedPair, ...]:
    return tuple(EqualizedPair(pair.first.name, pair.second.name, tuple(scales[pair].tolist())) for pair in pairs)


def _notes(pairs: tuple[LayerPair, ...], scales: Scales, relu6: Relu6, replaced: int) -> tuple[str, ...]:
    largest = max(float(torch.maximum(scale, 1 / scale).max()) for scale in scales.values())
    notes = [f"Cross-layer equalization of {len(pairs)} pairs of layers moved scales of up to {largest:.3g}."]
    if replaced and relu6 is Relu6.RELU:
        notes.append(f"{replaced} ReLU6 became ReLU: answers change wherever a channel exceeded the limit.")
    elif replaced:
        notes.append(f"{replaced} ReLU6 became a ReLU and a limit per channel, which is one more op each.")
    return tuple(notes)
