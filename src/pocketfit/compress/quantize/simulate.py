"""The plan run in torch: what every runtime's output is compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch.fx import GraphModule, Node

from pocketfit.compress.quantize.integer import integer_layer
from pocketfit.compress.quantize.lower import (
    Activations,
    add_constant,
    finish,
    input_of,
    integer_bias,
    integer_weight,
    lower_activation,
    plain_copy,
    plan_bias,
    round_to_half,
)
from pocketfit.compress.quantize.placement import activation_bounds, fused_activation
from pocketfit.graph.attributes import get_tensor
from pocketfit.types import LayerPlan, LoadedModel, Precision, QuantizationPlan, Scheme

__all__ = ["simulate", "simulation_graph"]


def simulate(
    model: LoadedModel,
    plan: QuantizationPlan,
    scheme: Scheme,
    batches: Iterable[np.ndarray],
    progress: Callable[[int], None] | None = None,
) -> np.ndarray:
    """Outputs of the model under the plan.

    Args:
        model: the canonical float model.
        plan: float32, float16 or INT8.
        scheme: how INT8 activations are expressed; float plans ignore it.
        batches: float32 arrays in the model's layout, batch first.
        progress: called with the number of samples of each finished batch.

    Returns:
        float32 array, samples first.
    """
    graph = simulation_graph(model.graph, plan, scheme)
    outputs = []
    with torch.no_grad():
        for batch in batches:
            result = graph(torch.from_numpy(batch))
            outputs.append(_first(result).float().numpy())
            if progress is not None:
                progress(len(batch))
    return np.concatenate(outputs)


def simulation_graph(graph: GraphModule, plan: QuantizationPlan, scheme: Scheme) -> GraphModule:
    """A copy of the canonical graph that computes in torch what the plan says, layers in exact integers."""
    module = plain_copy(graph)
    if plan.precision is Precision.FLOAT16:
        round_to_half(module, plan)
    elif plan.precision is Precision.INT8:
        nodes = {node.name: node for node in module.graph.nodes}
        storage = Activations.SYMMETRIC if scheme is Scheme.SYMMETRIC else Activations.UNSIGNED
        written = _written_by_layers(graph, plan) if scheme is Scheme.AFFINE else {}
        for name in plan.activations:
            if name not in written.values():
                lower_activation(module, nodes[name], plan, storage)
        for name, layer in plan.layers.items():
            _replace_layer(module, nodes[name], name, graph, layer, plan, scheme)
        for name in written.values():
            # What a layer writes is quantized and clipped already: a fused activation has nothing left to do.
            if name not in plan.layers:
                nodes[name].replace_all_uses_with(nodes[name].all_input_nodes[0])
        if scheme is Scheme.AFFINE:
            _divide(module)
    finish(module)
    return module


def _divide(module: GraphModule) -> None:
    """Quantize with a division, as ONNX and LiteRT define it; torch multiplies by the reciprocal.

    The two fall on different sides of a half only for special values, but pixels are such values: with SqueezeNet's
    input scale, one of the 256 was a unit off.
    """
    for node in module.graph.nodes:
        if node.target is torch.ops.quantized_decomposed.quantize_per_tensor.default:
            node.target = quantize_by_division


def quantize_by_division(
    values: torch.Tensor, scale: float, zero_point: int, lowest: int, highest: int, dtype: torch.dtype
) -> torch.Tensor:
    """`clip(round(x / scale) + zero_point)` in float32, halves to even; the arguments of torch's quantize op."""
    return (values / scale).round_().add_(zero_point).clamp_(lowest, highest).to(dtype)


def _written_by_layers(graph: GraphModule, plan: QuantizationPlan) -> dict[str, str]:
    """Which INT8 tensor each layer's kernel writes: its own result, or that of the activation fused into it."""
    layers = [node for node in graph.graph.nodes if node.name in plan.layers]
    written = {node.name: (fused_activation(node) or node).name for node in layers}
    return {layer: tensor for layer, tensor in written.items() if tensor in plan.activations}


def _replace_layer(
    module: GraphModule,
    node: Node,
    name: str,
    graph: GraphModule,
    layer: LayerPlan,
    plan: QuantizationPlan,
    scheme: Scheme,
) -> None:
    original = next(candidate for candidate in graph.graph.nodes if candidate.name == name)
    activation = plan.activations[input_of(original).name]
    output = None if scheme is Scheme.SYMMETRIC else _output(original, plan)
    input_scale = activation.symmetric_scale if scheme is Scheme.SYMMETRIC else activation.scale
    bias = plan_bias(module, node, layer, scheme)
    if bias is not None and output is not None:
        bias = integer_bias(bias, layer, input_scale)[0].double()
    prefix = f"_plan_{name}"
    with module.graph.inserting_before(node):
        weight = integer_weight(get_tensor(module, layer.weight), layer).float()
        arguments: tuple[Any, ...] = (
            node.args[0],
            add_constant(module, f"{prefix}_weight", weight),
            None if bias is None else add_constant(module, f"{prefix}_bias", bias),
            node.target,
            tuple(node.args[3:]),
            input_scale,
            add_constant(module, f"{prefix}_scales", torch.tensor(layer.weight_scales, dtype=torch.float32)),
            output,
        )
        replaced = module.graph.call_function(integer_layer, arguments)
    node.replace_all_uses_with(replaced)


def _output(layer: Node, plan: QuantizationPlan) -> tuple[float, int, int] | None:
    """Scale and integer bounds, around the zero point, of the tensor that the layer's kernel writes."""
    fused = fused_activation(layer)
    activation = plan.activations.get((fused or layer).name)
    if activation is None:
        return None
    lowest, highest = -activation.zero_point, 255 - activation.zero_point
    if fused is not None:
        low, high = activation_bounds(fused)
        lowest = max(lowest, round(low / activation.scale))
        highest = min(highest, round(high / activation.scale)) if high < float("inf") else highest
    return activation.scale, lowest, highest


def _first(result: object) -> torch.Tensor:
    while isinstance(result, list | tuple):
        result = result[0]
    assert isinstance(result, torch.Tensor)
    return result
