"""Why a model suffers from INT8: which ops, how much, and from what.

Two views of each op that quantization touches. Its SQNR with everything before it quantized as well shows where noise
builds up; the divergence of the model's answers when it alone is quantized shows who is to blame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import torch
from torch.fx import GraphModule, Node

from pocketfit.compress.quantize.divergence import sqnr_db
from pocketfit.compress.quantize.placement import activation_bounds, fused_activation, is_layer
from pocketfit.compress.quantize.statistics import TensorStatistics
from pocketfit.compress.quantize.units import Unit, units
from pocketfit.compress.quantize.walk import Site, Values, walk
from pocketfit.graph.attributes import get_tensor
from pocketfit.graph.calls import op_name
from pocketfit.models.canonical import source_of
from pocketfit.types import ActivationPlan, LoadedModel, QuantizationPlan, Scheme

__all__ = ["Cause", "Diagnosis", "diagnose", "only", "tensor_quality"]

aten = torch.ops.aten

# A range this many times as wide as that of all but a ten-thousandth of the values is made by outliers.
OUTLIER = 4.0
RARE = 1e-4
# Channels whose weights differ by this factor cannot share a scale.
SPREAD = 30.0
# More than this share of the values clipped is no longer rounding.
SATURATED = 1e-3
# Fewer steps than this over the standard deviation of a tensor leave little of it.
FEW_STEPS = 6.0

_HARD_SWISH = frozenset({aten.hardswish.default, aten.hardsigmoid.default, aten.silu.default, aten.gelu.default})
_GATES = frozenset({aten.sigmoid.default, aten.hardsigmoid.default})


class Cause(StrEnum):
    """What can be told about why an op suffers."""

    OUTLIER = "range outlier"
    SPREAD = "per-channel spread"
    SATURATED = "saturated activation"
    FEW_STEPS = "too few steps"
    HARD_SWISH = "hard-swish or its like"
    GATE = "squeeze-and-excite scale"


@dataclass(frozen=True)
class Diagnosis:
    """One op that quantization touches, with the activation fused into it.

    Args:
        name: node name in the canonical graph.
        op: aten name.
        source: dotted module path in the user's model, where it is known.
        sqnr_db: of its result, everything before it quantized too; None for an op whose result stays float.
        alone: divergence of the model's answers when it alone is quantized.
        causes: with a figure each, such as "range outlier: 12 times the range of 99.99% of the values".
    """

    name: str
    op: str
    source: str
    sqnr_db: float | None
    alone: float
    causes: tuple[str, ...]


def diagnose(
    model: LoadedModel,
    plan: QuantizationPlan,
    statistics: Mapping[str, TensorStatistics],
    loss: Callable[[QuantizationPlan], float],
    sqnr: Mapping[str, float],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Diagnosis, ...]:
    """Diagnose every op, worst first.

    Args:
        model: the canonical float model.
        plan: an INT8 plan of it.
        statistics: of its tensors.
        loss: divergence from the float model under a plan.
        sqnr: decibel by node name, from `tensor_quality`.
        progress: called with (done, total).
    """
    nodes = {node.name: node for node in model.graph.graph.nodes}
    singles = [unit for unit in units(model) if unit.name in nodes]
    found = []
    for count, unit in enumerate(singles):
        node = nodes[unit.name]
        result = fused_activation(node) or node
        found.append(
            Diagnosis(
                name=node.name,
                op=op_name(node),
                source=source_of(node),
                sqnr_db=sqnr.get(result.name),
                alone=loss(only(plan, model.graph, unit)),
                causes=tuple(_causes(model.graph, node, plan, statistics)),
            )
        )
        progress(count + 1, len(singles))
    return tuple(sorted(found, key=lambda one: one.alone, reverse=True))


def tensor_quality(
    model: LoadedModel, plan: QuantizationPlan, scheme: Scheme, samples: list[np.ndarray]
) -> dict[str, float]:
    """SQNR in decibel of every INT8 tensor, everything before it quantized as well, by node name."""
    quality: dict[str, float] = {}

    def watch(node: Node, values: object, quantized: object) -> None:
        if node.name in plan.activations:
            float_values, got = (torch.cat(side).numpy() for side in (values, quantized))  # type: ignore[arg-type]
            quality[node.name] = sqnr_db(got, float_values)

    walk(model.graph, plan, scheme, samples, _AsPlanned(), watch=watch)
    return quality


class _AsPlanned:
    def visit(self, site: Site) -> Values:
        return site.outputs(bias=site.planned_bias)


def only(plan: QuantizationPlan, graph: GraphModule, unit: Unit) -> QuantizationPlan:
    """The plan that quantizes nothing but this unit: its weights, and the tensors it reads and writes."""
    nodes = [node for node in graph.graph.nodes if node.name in unit.nodes]
    read = {source.name for node in nodes for source in node.all_input_nodes if source.op != "get_attr"}
    touched = read | unit.nodes
    return replace(
        plan,
        activations={name: activation for name, activation in plan.activations.items() if name in touched},
        layers={name: layer for name, layer in plan.layers.items() if name in unit.nodes},
    )


def _causes(
    graph: GraphModule, node: Node, plan: QuantizationPlan, statistics: Mapping[str, TensorStatistics]
) -> Iterator[str]:
    result = fused_activation(node) or node
    activation, seen = plan.activations.get(result.name), statistics.get(result.name)
    if activation is not None and seen is not None:
        yield from _activation_causes(activation, seen, result)
    if is_layer(node):
        yield from _weight_causes(graph, node)
    if node.target in _HARD_SWISH or any(user.target in _HARD_SWISH for user in result.users):
        yield f"{Cause.HARD_SWISH}: most of its values lie close to zero, a few far off"
    if any(_is_gate(source) for source in node.all_input_nodes) and node.target is aten.mul.Tensor:
        yield f"{Cause.GATE}: an error of the scale multiplies a whole channel"


def _activation_causes(activation: ActivationPlan, seen: TensorStatistics, result: Node) -> Iterator[str]:
    whole = seen.maximum - seen.minimum
    low, high = _central(seen)
    if whole > OUTLIER * max(high - low, 1e-30):
        yield f"{Cause.OUTLIER}: {whole / max(high - low, 1e-30):.0f} times the range of 99.99% of the values"
    lowest, highest = -activation.zero_point * activation.scale, (255 - activation.zero_point) * activation.scale
    clipped = float(seen.histogram[(seen.centers < lowest) | (seen.centers > highest)].sum()) / max(seen.count, 1)
    if clipped > SATURATED and activation.bits == 8 and highest < activation_bounds(result)[1]:
        yield f"{Cause.SATURATED}: {100 * clipped:.1f}% of the values are clipped"
    deviation = _deviation(seen)
    if 0 < deviation < FEW_STEPS * activation.scale:
        yield f"{Cause.FEW_STEPS}: {deviation / activation.scale:.1f} steps to a standard deviation"


def _weight_causes(graph: GraphModule, node: Node) -> Iterator[str]:
    weight = node.args[1]
    assert isinstance(weight, Node)  # is_layer said so
    largest = get_tensor(graph, str(weight.target)).flatten(1).abs().amax(1)
    largest = largest[largest > 0]
    if len(largest) > 1 and float(largest.max() / largest.median()) > SPREAD:
        ratio = float(largest.max() / largest.median())
        yield f"{Cause.SPREAD}: the largest channel of its weight is {ratio:.0f} times the median one"


def _is_gate(node: Node) -> bool:
    return node.target in _GATES


def _central(seen: TensorStatistics) -> tuple[float, float]:
    """The range without the rarest values, half of them at either end."""
    cumulative = np.cumsum(seen.histogram) / max(int(seen.histogram.sum()), 1)
    low = seen.centers[int(np.searchsorted(cumulative, RARE / 2))]
    high = seen.centers[min(int(np.searchsorted(cumulative, 1 - RARE / 2)), len(cumulative) - 1)]
    return float(low), float(high)


def _deviation(seen: TensorStatistics) -> float:
    weights = seen.histogram / max(int(seen.histogram.sum()), 1)
    mean = float(np.dot(weights, seen.centers))
    return float(np.sqrt(np.dot(weights, (seen.centers - mean) ** 2)))
