"""From statistics to the one plan every runtime is given, and that plan as a file a person can read."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import TypeAdapter
from torch.fx import GraphModule, Node

from pocketfit.compress.quantize.placement import FIXED_RANGES, Placement, is_layer, place
from pocketfit.compress.quantize.ranges import (
    affine_from_range,
    mse_affine,
    mse_symmetric,
    room_for_bias,
    weight_scales,
)
from pocketfit.compress.quantize.statistics import TensorStatistics, merge
from pocketfit.graph.attributes import get_tensor
from pocketfit.models.canonical import source_of
from pocketfit.types import ActivationPlan, LayerPlan, LoadedModel, Precision, QuantizationPlan

__all__ = ["float_plan", "int8_plan", "plan_from_json", "plan_to_json"]

_ADAPTER = TypeAdapter(QuantizationPlan)


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
) -> QuantizationPlan:
    """Static W8A8: weights symmetric per output channel, activations per tensor, all ranges by mean squared error.

    Args:
        model: the canonical float model.
        statistics: of every tensor that `place` names, from `calibrate`.
        data_fingerprint: of the calibration samples.
        samples: number of calibration samples.
    """
    activations = _activations(model.graph, place(model.graph), statistics)
    layers = {node.name: _layer(node, _scales_of(model.graph, node, activations)) for node in _layers(model.graph)}
    return QuantizationPlan(
        precision=Precision.INT8,
        model_fingerprint=model.fingerprint,
        data_fingerprint=data_fingerprint,
        samples=samples,
        activations=activations,
        layers=layers,
    )


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
    op = str(node.target).split(".")[1]
    return LayerPlan(op=op, source=source_of(node), weight=str(weight.target), axis=0, weight_scales=scales)


def _scales_of(graph: GraphModule, node: Node, activations: Mapping[str, ActivationPlan]) -> tuple[float, ...]:
    source, weight, bias = (*node.args, None)[:3]
    scales = weight_scales(_array(graph, weight), axis=0)
    if bias is None:
        return scales
    return room_for_bias(scales, _array(graph, bias), activations[str(source)].scale)


def _array(graph: GraphModule, node: object) -> np.ndarray:
    assert isinstance(node, Node)  # the weight, or the bias, of a layer
    values: np.ndarray = get_tensor(graph, str(node.target)).float().numpy()
    return values


def _affine(statistics: TensorStatistics, *, clip: bool) -> tuple[float, int]:
    """By mean squared error; for the model's answer the whole range, since clipping makes equals of the best ones."""
    return mse_affine(statistics) if clip else affine_from_range(statistics.minimum, statistics.maximum)


def _activations(
    graph: GraphModule, placement: Placement, statistics: Mapping[str, TensorStatistics]
) -> dict[str, ActivationPlan]:
    members: dict[str, list[str]] = {}
    for name, group in placement.tensors.items():
        members.setdefault(group, []).append(name)
    targets = {node.name: node.target for node in graph.graph.nodes}
    plans: dict[str, ActivationPlan] = {}
    for group, names in members.items():
        shared = merge(statistics[name] for name in names)
        scale, zero_point = FIXED_RANGES.get(targets[group]) or _affine(shared, clip=group not in placement.answers)
        symmetric = mse_symmetric(shared)
        for name in names:
            plans[name] = ActivationPlan(
                minimum=statistics[name].minimum,
                maximum=statistics[name].maximum,
                scale=scale,
                zero_point=zero_point,
                symmetric_scale=symmetric,
                group=group if len(names) > 1 else "",
            )
    return {name: plans[name] for name in placement.tensors}
