"""From statistics to the one plan every runtime is given, and that plan as a file a person can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from pydantic import TypeAdapter
from torch.fx import GraphModule, Node

from pocketfit.compress.quantize.placement import FIXED_RANGES, Placement, is_layer, place
from pocketfit.compress.quantize.ranges import (
    RangeMethod,
    Ranges,
    range_method,
    room_for_bias,
    sixteen_bit_scale,
    weight_scales,
)
from pocketfit.compress.quantize.readers import read_through
from pocketfit.compress.quantize.recipe import Granularity, Recipe
from pocketfit.compress.quantize.statistics import TensorStatistics, merge
from pocketfit.graph.attributes import get_tensor
from pocketfit.graph.calls import op_name
from pocketfit.models.canonical import source_of
from pocketfit.types import ActivationPlan, LayerPlan, LoadedModel, Precision, QuantizationPlan

__all__ = [
    "activation_plans",
    "float_plan",
    "int8_plan",
    "plan_from_json",
    "plan_to_json",
    "sixteen_bits",
    "weight_bits_of",
]

_ADAPTER = TypeAdapter(QuantizationPlan)
STATIC_W8A8 = Recipe()


def float_plan(model: LoadedModel, precision: Precision) -> QuantizationPlan:
    """The plan that quantizes nothing: float32, or float16 storage of the weights of every layer."""
    layers = {} if precision is Precision.FLOAT32 else {node.name: _layer(node, ()) for node in _layers(model.graph)}
    return QuantizationPlan(precision=precision, model_fingerprint=model.fingerprint, layers=layers)


def int8_plan(
    model: LoadedModel,
    statistics: Mapping[str, TensorStatistics],
    *,
    data_fingerprint: str,
    samples: int,
    recipe: Recipe = STATIC_W8A8,
) -> QuantizationPlan:
    """An INT8 plan: static W8A8 with ranges by mean squared error, or what the recipe says.

    Args:
        model: the canonical float model.
        statistics: of every tensor that `place` names, from `calibrate`.
        data_fingerprint: of the calibration samples.
        samples: number of calibration samples.
        recipe: what is asked of it.
    """
    kept = recipe.keep_float | recipe.half
    activations: dict[str, ActivationPlan] = {}
    if recipe.activation_bits <= 16:
        activations = activation_plans(model.graph, place(model.graph, kept), statistics, recipe)
    bits = weight_bits_of(model.graph, recipe)
    layers = {}
    for node in _layers(model.graph):
        if node.name in recipe.half:
            layers[node.name] = _layer(node, ())
        elif node.name not in recipe.keep_float:
            layers[node.name] = _int8_layer(model.graph, node, activations, bits[node.name], recipe)
    return QuantizationPlan(
        precision=Precision.INT8,
        model_fingerprint=model.fingerprint,
        data_fingerprint=data_fingerprint,
        samples=samples,
        activations=activations,
        layers=layers,
    )


def weight_bits_of(graph: GraphModule, recipe: Recipe) -> dict[str, int]:
    """Bits of each layer's weight: depthwise layers and the first one keep 8."""
    layers = _layers(graph)
    return {node.name: 8 if node is layers[0] or _is_depthwise(graph, node) else recipe.weight_bits for node in layers}


def activation_plans(
    graph: GraphModule, placement: Placement, statistics: Mapping[str, TensorStatistics], recipe: Recipe
) -> dict[str, ActivationPlan]:
    """The numbers of every tensor of the placement, each group from the statistics of its members together."""
    members: dict[str, list[str]] = {}
    for name, group in placement.tensors.items():
        members.setdefault(group, []).append(name)
    nodes = {node.name: node for node in graph.graph.nodes}
    plans: dict[str, ActivationPlan] = {}
    for group, names in members.items():
        shared = merge(statistics[name] for name in names)
        if recipe.activation_bits == 16 or not recipe.wide.isdisjoint(names):
            plans |= {name: sixteen_bits(statistics, name, placement) for name in names}
            continue
        # Clipping the model's answer makes equals of the best ones: it keeps the whole range.
        ranges = Ranges.MIN_MAX if group in placement.answers else recipe.ranges
        through = read_through(nodes[group]) if len(names) == 1 else None
        affine, symmetric = (range_method(one, through) for one in (ranges, recipe.ranges))
        numbers = _eight_bits(shared, affine, symmetric, FIXED_RANGES.get(nodes[group].target))
        for name in names:
            own = statistics[name]
            shared_by = group if len(names) > 1 else ""
            plans[name] = replace(numbers, minimum=own.minimum, maximum=own.maximum, group=shared_by)
    return {name: plans[name] for name in placement.tensors}


def sixteen_bits(statistics: Mapping[str, TensorStatistics], name: str, placement: Placement) -> ActivationPlan:
    """The numbers of one tensor in sixteen bits: symmetric, its group's largest value at the end of the range."""
    members = [other for other, group in placement.tensors.items() if group == placement.tensors[name]]
    scale = sixteen_bit_scale(merge(statistics[member] for member in members))
    own = statistics[name]
    group = placement.tensors[name] if len(members) > 1 else ""
    return ActivationPlan(own.minimum, own.maximum, scale, 0, scale, group, bits=16)


def plan_to_json(plan: QuantizationPlan) -> str:
    """The plan as indented JSON; floats are written so that they read back exactly."""
    return _ADAPTER.dump_json(plan, indent=1).decode()


def plan_from_json(text: str | bytes) -> QuantizationPlan:
    """Read what `plan_to_json` wrote."""
    return _ADAPTER.validate_json(text)


def _layers(graph: GraphModule) -> list[Node]:
    return [node for node in graph.graph.nodes if is_layer(node)]


def _layer(node: Node, scales: tuple[float, ...]) -> LayerPlan:
    weight = node.args[1]
    assert isinstance(weight, Node)  # is_layer said so
    return LayerPlan(op=op_name(node), source=source_of(node), weight=str(weight.target), axis=0, weight_scales=scales)


def _int8_layer(
    graph: GraphModule, node: Node, activations: Mapping[str, ActivationPlan], bits: int, recipe: Recipe
) -> LayerPlan:
    source, weight, bias = (*node.args, None)[:3]
    per_tensor = recipe.granularity is Granularity.PER_TENSOR
    scales = weight_scales(_array(graph, weight), axis=0, bits=bits, per_tensor=per_tensor)
    read = activations.get(str(source))
    dynamic = node.name in recipe.dynamic
    if bias is not None and read is not None and not dynamic:
        scales = room_for_bias(scales, _array(graph, bias), read.scale)
        scales = (max(scales),) * len(scales) if per_tensor else scales
    return replace(_layer(node, scales), weight_bits=bits, dynamic=dynamic)


def _is_depthwise(graph: GraphModule, node: Node) -> bool:
    weight = node.args[1]
    assert isinstance(weight, Node)  # is_layer said so
    shape = get_tensor(graph, str(weight.target)).shape
    return len(shape) > 2 and shape[1] == 1 and shape[0] > 1


def _array(graph: GraphModule, node: object) -> np.ndarray:
    assert isinstance(node, Node)  # the weight, or the bias, of a layer
    values: np.ndarray = get_tensor(graph, str(node.target)).float().numpy()
    return values


def _eight_bits(
    statistics: TensorStatistics, affine: RangeMethod, symmetric: RangeMethod, fixed: tuple[float, int] | None
) -> ActivationPlan:
    scale, zero_point = fixed or affine.affine(statistics)
    return ActivationPlan(0.0, 0.0, scale, zero_point, symmetric.symmetric(statistics))
