"""INT8 without any data: ranges and bias corrections from what batch normalisations remember.

    model ─equalize→ model ─data_free_statistics→ statistics ─int8_plan→ plan ─data_free_bias_correction→ plan

A batch normalisation knows mean β and standard deviation γ of its channels on the training data. So the range of a
layer's output is β ± 6γ over all channels, and what rounding its weights shifts a layer's output by, ε = W̃ − W, follows
from the expected input:

    E[ỹ] = E[y] + ε E[x],   b ← b − ε E[x],

E[x] behind a ReLU or ReLU6 being the mean of a clipped normal distribution. Where something else than a normalised
layer writes a tensor, synthetic inputs stand in: see `synthetic`.

Source: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction" (arXiv 1906.04721),
sections 4.2 and 5 (activation ranges), equations 14 to 19 and appendix C.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch.fx import GraphModule, Node

from pocketfit.compress.quantize.arithmetic import channel_axis
from pocketfit.compress.quantize.fake import fake_quantize_weight
from pocketfit.compress.quantize.placement import LAYERS, place
from pocketfit.compress.quantize.relu6 import upper_limit
from pocketfit.compress.quantize.statistics import BINS, TensorStatistics, merge, observe
from pocketfit.compress.quantize.synthetic import IMAGES, Values, input_range, walk_synthetic
from pocketfit.contract import Contract
from pocketfit.graph.attributes import get_tensor
from pocketfit.graph.norm_statistics import NormStatistics, norm_statistics
from pocketfit.types import LayerPlan, LoadedModel, QuantizationPlan, Scheme

__all__ = ["clipped_normal_mean", "data_free_bias_correction", "data_free_statistics"]

aten = torch.ops.aten

# Half of the range, in standard deviations: section 5 of the source.
DEVIATIONS = 6.0

# Tensors that are sums of many values, and so have two sides.
_SUMS = LAYERS | {aten.add.Tensor, aten.sub.Tensor, aten.mean.dim}

# Activations whose bounds are the activations of the bounds. Of those that grow without end and are not ReLUs, such as
# hard-swish, six deviations are more than what is seen: what the synthetic inputs reach is closer.
_MONOTONE = frozenset(
    {
        aten.clamp.default,
        aten.hardsigmoid.default,
        aten.hardtanh.default,
        aten.leaky_relu.default,
        aten.relu.default,
        aten.relu6.default,
        aten.sigmoid.default,
        aten.tanh.default,
    }
)


def data_free_statistics(model: LoadedModel, preprocess: Contract | None = None) -> dict[str, TensorStatistics]:
    """Statistics of every tensor that `place` names, in the form that `calibrate` gives them, without data.

    The means are expected ones, the ends of the range are six standard deviations from them, and the histogram between
    the two ends is flat: whatever method chooses ranges keeps them whole.

    Args:
        model: the canonical model, with batch normalisations folded into it.
        preprocess: how pixels become inputs, from which the input's range follows; what the model says where None, and
            mean 0 and standard deviation 1 where the model does not say either.

    Raises:
        DataError: no batch normalisation was folded into any layer.
    """
    preprocess = preprocess or model.preprocess
    names = place(model.graph).tensors
    statistics: dict[str, TensorStatistics] = {}
    spreads: dict[Node, NormStatistics] = {}

    def visit(node: Node, values: Values) -> None:
        if node.target in _SUMS and values[0].is_floating_point():
            spreads[node] = norm_statistics(node) or _measured(values)
        if node.name in names:
            pixels = input_range(model.row_shape, preprocess) if node.op == "placeholder" else None
            seen = merge(observe(node.name, value) for value in values)
            statistics[node.name] = _flat(node.name, seen, pixels or _range(node, spreads))

    walk_synthetic(model, preprocess, visit)
    return statistics


def data_free_bias_correction(
    model: LoadedModel, plan: QuantizationPlan, preprocess: Contract | None = None
) -> QuantizationPlan:
    """Take out of each bias what rounding the layer's weights is expected to shift its output by.

    Args:
        model: the canonical model that the plan was made for.
        plan: an INT8 plan without corrected biases.
        preprocess: as for `data_free_statistics`.

    Returns:
        The plan with corrected biases, the same in both schemes, and a note that no data was used.

    Raises:
        DataError: no batch normalisation was folded into any layer.
    """
    layers = dict(plan.layers)

    def visit(node: Node, values: Values) -> None:
        for reader in [user for user in node.users if user.name in plan.layers and user.args[0] is node]:
            expected = _expected(node, values, channel_axis(reader))
            layers[reader.name] = _corrected(model.graph, reader, plan.layers[reader.name], expected)

    walk_synthetic(model, preprocess or model.preprocess, visit)
    known = sum(norm_statistics(node) is not None for node in model.graph.graph.nodes)
    note = (
        f"No data was used: ranges and bias corrections come from the batch-norm statistics of {known} layers and "
        f"from {IMAGES} synthetic inputs."
    )
    return replace(plan, layers=layers, notes=(*plan.notes, note))


def clipped_normal_mean(mean: torch.Tensor, std: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """Expected value of a normal variable clipped to [low, high].

    Args:
        mean: of any shape.
        std: of the same shape, not negative.
        low: may be -infinity.
        high: may be infinity.

    Source: Nagel et al. 2019, equation 19 and appendix C.
    """
    wide = std.clamp_min(torch.finfo(std.dtype).tiny)
    below, above = (low - mean) / wide, (high - mean) / wide
    inside = _cumulative(above) - _cumulative(below)
    value = mean * inside + std * (_density(below) - _density(above))
    if math.isfinite(low):
        value = value + low * _cumulative(below)
    if math.isfinite(high):
        value = value + high * _cumulative(-above)
    return value


def _cumulative(values: torch.Tensor) -> torch.Tensor:
    below: torch.Tensor = torch.special.ndtr(values)
    return below


def _density(values: torch.Tensor) -> torch.Tensor:
    return torch.exp(-values.square() / 2) / math.sqrt(2 * math.pi)


def _measured(values: list[torch.Tensor]) -> NormStatistics:
    """Mean and standard deviation per channel of synthetic values."""
    axis = 1 if values[0].dim() in (2, 4) else -1
    rows = torch.cat([value.movedim(axis, 0).reshape(value.shape[axis], -1) for value in values], 1)
    std, mean = torch.std_mean(rows, 1, correction=0)
    return NormStatistics(mean, std)


def _range(node: Node, spreads: dict[Node, NormStatistics]) -> tuple[float, float] | None:
    """Six standard deviations to both sides, or what an activation makes of them; None of other tensors."""
    source = node.args[0] if node.target in _MONOTONE else node
    spread = spreads.get(source) if isinstance(source, Node) else None
    if spread is None:
        return None
    low, high = spread.mean - DEVIATIONS * spread.std, spread.mean + DEVIATIONS * spread.std
    ends = torch.stack([low.min(), high.max()])
    if source is not node:
        ends = node.target(ends, *node.args[1:])  # type: ignore[operator]
    return float(ends[0]), float(ends[1])


def _flat(name: str, seen: TensorStatistics, ends: tuple[float, float] | None) -> TensorStatistics:
    """Every value between the two ends as often as any other, so that no choice of ranges clips what is not known."""
    low, high = ends or (seen.minimum, seen.maximum)
    low, high = min(low, seen.minimum), max(high, seen.maximum)
    even = observe(name, torch.linspace(low, high, BINS))
    return replace(even, channel_sum=seen.channel_sum, channel_count=seen.channel_count)


def _expected(node: Node, values: list[torch.Tensor], axis: int) -> torch.Tensor:
    """Mean per channel of a layer's input, float32: that of a clipped normal variable where it is known to be one."""
    high = math.inf if node.target is aten.relu.default else upper_limit(node)
    layer, low = (node, -math.inf) if high is None else (node.args[0], 0.0)
    known = norm_statistics(layer) if isinstance(layer, Node) else None
    if known is not None:
        return clipped_normal_mean(known.mean, known.std, low, math.inf if high is None else high)
    return torch.cat([value.movedim(axis, 0).flatten(1) for value in values], 1).mean(1)


def _corrected(graph: GraphModule, node: Node, layer: LayerPlan, expected: torch.Tensor) -> LayerPlan:
    weight = get_tensor(graph, layer.weight)
    error = (fake_quantize_weight(weight, layer) - weight).reshape(*weight.shape[:2], -1).sum(2)
    # Outputs of a group read the group's inputs alone.
    groups = len(expected) // error.shape[1]
    shift = (error.reshape(groups, -1, error.shape[1]) @ expected.reshape(groups, -1, 1)).flatten()
    bias = node.args[2] if len(node.args) > 2 else None
    own = get_tensor(graph, str(bias.target)) if isinstance(bias, Node) else torch.zeros_like(shift)
    return replace(layer, bias=dict.fromkeys(Scheme, tuple((own - shift).tolist())))
