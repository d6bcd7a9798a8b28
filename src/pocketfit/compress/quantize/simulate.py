"""The plan run in torch: what every runtime's output is compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch.fx import GraphModule, Node

from pocketfit.compress.quantize.arithmetic import Arithmetic, arithmetic, input_of, written_tensor
from pocketfit.compress.quantize.fake import fake_quantize_dynamically
from pocketfit.compress.quantize.integer import integer_layer
from pocketfit.compress.quantize.lower import (
    Activations,
    add_constant,
    finish,
    integer_bias,
    integer_weight,
    lower_activation,
    lower_float_layer,
    plan_bias,
    round_to_half,
)
from pocketfit.compress.quantize.placement import activation_bounds, fused_activation
from pocketfit.graph.attributes import get_tensor
from pocketfit.graph.running import plain_copy, run_graph
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
    return run_graph(simulation_graph(model.graph, plan, scheme), batches, progress)


def simulation_graph(graph: GraphModule, plan: QuantizationPlan, scheme: Scheme) -> GraphModule:
    """A copy of the canonical graph that computes in torch what the plan says.

    Layers that read 8 bits are computed in exact integers. All others, whose inputs are float, 16 bits or 8 bits with a
    range found at run time, are computed in float32 on restored values: that is what the runtimes' own kernels do with
    float inputs, and sums of 16-bit products, exact or not, round to a step that is 256 times finer, so that a rounding
    that falls the other way disturbs nothing after it.
    """
    module = plain_copy(graph)
    if plan.precision is Precision.FLOAT16:
        round_to_half(module, plan)
    elif plan.precision is Precision.INT8:
        _simulate_int8(module, graph, plan, scheme)
    finish(module)
    return module


def _simulate_int8(module: GraphModule, graph: GraphModule, plan: QuantizationPlan, scheme: Scheme) -> None:
    nodes = {node.name: node for node in module.graph.nodes}
    originals = {node.name: node for node in graph.graph.nodes if node.name in plan.layers}
    storage = Activations.SYMMETRIC if scheme is Scheme.SYMMETRIC else Activations.UNSIGNED
    written = _written_by_layers(originals.values(), plan) if scheme is Scheme.AFFINE else set()
    for name in plan.activations:
        if name not in written:
            lower_activation(module, nodes[name], plan, storage)
    for name, original in originals.items():
        if arithmetic(original, plan) is Arithmetic.INTEGER:
            _replace_layer(module, nodes[name], original, plan, scheme)
        else:
            _restore_layer(module, nodes[name], plan.layers[name], scheme)
    for name in written:
        # What a layer writes is quantized and clipped already: a fused activation has nothing left to do.
        if name not in plan.layers:
            nodes[name].replace_all_uses_with(nodes[name].all_input_nodes[0])
    if scheme is Scheme.AFFINE:
        _divide(module)


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


def _written_by_layers(layers: Iterable[Node], plan: QuantizationPlan) -> set[str]:
    """The 8-bit tensors that the layers' integer kernels write themselves."""
    return {written[0] for layer in layers if (written := written_tensor(layer, plan)) is not None}


def _replace_layer(module: GraphModule, node: Node, original: Node, plan: QuantizationPlan, scheme: Scheme) -> None:
    layer = plan.layers[original.name]
    activation = plan.activations[input_of(original).name]
    output = None if scheme is Scheme.SYMMETRIC else _output(original, plan)
    input_scale = activation.symmetric_scale if scheme is Scheme.SYMMETRIC else activation.scale
    bias = plan_bias(module, node, layer, scheme)
    if bias is not None and output is not None:
        bias = integer_bias(bias, layer, input_scale)[0].double()
    prefix = f"_plan_{original.name}"
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


def _restore_layer(module: GraphModule, node: Node, layer: LayerPlan, scheme: Scheme) -> None:
    """Compute the layer in float on what its weight, and with a dynamic layer its input, come back as."""
    lower_float_layer(module, node, layer, scheme, f"_plan_{node.name}_weight")
    if layer.dynamic:
        with module.graph.inserting_before(node):
            values = module.graph.call_function(fake_quantize_dynamically, (node.args[0], scheme))
        node.args = (values, *node.args[1:])


def _output(layer: Node, plan: QuantizationPlan) -> tuple[float, int, int] | None:
    """Scale and integer bounds, around the zero point, of the 8-bit tensor that the layer's kernel writes."""
    written = written_tensor(layer, plan)
    if written is None:
        return None
    _, activation = written
    lowest, highest = -activation.zero_point, 255 - activation.zero_point
    fused = fused_activation(layer)
    if fused is not None:
        low, high = activation_bounds(fused)
        lowest = max(lowest, round(low / activation.scale))
        highest = min(highest, round(high / activation.scale)) if high < float("inf") else highest
    return activation.scale, lowest, highest
