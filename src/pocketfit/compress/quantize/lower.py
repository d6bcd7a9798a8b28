"""A plan written into a graph: quantize and dequantize nodes with the plan's own numbers.

The same function serves every runtime and the simulator, so that all of them are given the same graph; they differ
in how activations are stored and in the form a converter wants weights in:

* `Weights.BAKED`: float constants already rounded to the INT8 grid. The simulator's form.
* `Weights.INTEGER`: INT8 constants behind a dequantize node. ONNX Runtime, ExecuTorch and Core ML.
* `Weights.CHAIN`: float constants behind quantize and dequantize nodes. LiteRT, whose converter folds them itself.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from enum import Enum

import torch
import torch.ao.quantization.fx._decomposed  # registers torch.ops.quantized_decomposed
from torch.fx import Graph, GraphModule, Node

from pocketfit.models.constants import get_constant, set_constant
from pocketfit.types import ActivationPlan, LayerPlan, Precision, QuantizationPlan, Scheme

__all__ = ["Activations", "Weights", "lower"]


class Activations(Enum):
    """How INT8 activations are stored: affine unsigned, affine signed, or symmetric ±127 at layer inputs only."""

    UNSIGNED = (0, 255, torch.uint8)
    SIGNED = (-128, 127, torch.int8)
    SYMMETRIC = (-127, 127, torch.int8)


class Weights(Enum):
    """The form a converter wants quantized weights in."""

    BAKED = "baked"
    INTEGER = "integer"
    CHAIN = "chain"


def lower(
    graph: GraphModule, plan: QuantizationPlan, activations: Activations, weights: Weights = Weights.BAKED
) -> GraphModule:
    """A copy of the canonical graph that computes what the plan says.

    Args:
        graph: the canonical float graph; left as it is.
        plan: float plans return a plain copy, float16 one with the layers' weights rounded to half.
        activations: how the runtime stores INT8 activations.
        weights: the form the converter wants.
    """
    lowered = GraphModule(copy.deepcopy(graph), copy.deepcopy(graph.graph))  # a plain module: export's hooks stay behind
    if plan.precision is Precision.FLOAT16:
        for layer in plan.layers.values():
            set_constant(lowered, layer.weight, get_constant(lowered, layer.weight).half().float())
    elif plan.precision is Precision.INT8:
        nodes = {node.name: node for node in lowered.graph.nodes}
        # Layers first: a bias is stored with the scale of its layer's input, which is still the plain node here.
        for name, layer in plan.layers.items():
            _lower_layer(lowered, nodes[name], layer, plan, activations, weights)
        for name, activation in plan.activations.items():
            _lower_activation(lowered, nodes[name], activation, plan, activations)
    lowered.graph.eliminate_dead_code()
    lowered.recompile()
    return lowered


def _lower_activation(
    module: GraphModule, node: Node, activation: ActivationPlan, plan: QuantizationPlan, storage: Activations
) -> None:
    low, high, dtype = storage.value
    scale, zero_point = activation.scale, activation.zero_point + low
    reads: Callable[[Node], bool] = lambda user: True  # noqa: E731
    if storage is Activations.SYMMETRIC:
        scale, zero_point = activation.symmetric_scale, 0
        reads = lambda user: user.name in plan.layers and user.args[0] is node  # noqa: E731
    readers = [user for user in node.users if reads(user)]
    if not readers:
        return
    with module.graph.inserting_after(_after(node)):
        arguments = (scale, zero_point, low, high, dtype)
        quantized = module.graph.call_function(_ops().quantize_per_tensor.default, (node, *arguments))
    with module.graph.inserting_after(quantized):
        restored = module.graph.call_function(_ops().dequantize_per_tensor.default, (quantized, *arguments))
    for user in readers:
        user.replace_input_with(node, restored)


def _after(node: Node) -> Node:
    """Placeholders stay together at the top of the graph."""
    while node.op == "placeholder" and node.next.op == "placeholder":
        node = node.next
    return node


def _lower_layer(
    module: GraphModule,
    node: Node,
    layer: LayerPlan,
    plan: QuantizationPlan,
    storage: Activations,
    form: Weights,
) -> None:
    symmetric = storage is Activations.SYMMETRIC
    weight = get_constant(module, layer.weight)
    scales = torch.tensor(layer.weight_scales, dtype=torch.float32)
    quantize = _ops().quantize_per_channel.default
    dequantize = _ops().dequantize_per_channel.default
    arguments = (layer.axis, -127, 127, torch.int8)
    zeros = torch.zeros(len(scales), dtype=torch.int64)
    integers = quantize(weight, scales, zeros, *arguments)
    prefix = f"_plan_{node.name}"
    graph = module.graph
    with graph.inserting_before(node):
        if form is Weights.BAKED:
            new_weight = _get(module, f"{prefix}_weight", dequantize(integers, scales, zeros, *arguments))
        else:
            scale_node = _get(module, f"{prefix}_scales", scales)
            zero_node = _get(module, f"{prefix}_zeros", zeros)
            if form is Weights.INTEGER:
                source = _get(module, f"{prefix}_weight", integers)
            else:
                float_node = _get(module, f"{prefix}_weight", weight)
                source = graph.call_function(quantize, (float_node, scale_node, zero_node, *arguments))
            new_weight = graph.call_function(dequantize, (source, scale_node, zero_node, *arguments))
        bias = _bias(module, node, layer, symmetric)
        new_bias = None
        if bias is not None:
            producer = node.args[0]
            assert isinstance(producer, Node)
            input_scale = None if symmetric else plan.activations[producer.name].scale
            new_bias = _lower_bias(module, prefix, bias, scales, input_scale, form)
    node.args = (node.args[0], new_weight, new_bias, *node.args[3:])


def _lower_bias(
    module: GraphModule,
    prefix: str,
    bias: torch.Tensor,
    weight_scales: torch.Tensor,
    input_scale: float | None,
    form: Weights,
) -> Node:
    """The bias as INT32 with scale (input scale × weight scale), as integer kernels add it; float where they do not."""
    if input_scale is None or form is Weights.CHAIN:  # LiteRT's converter derives the same integers itself
        return _get(module, f"{prefix}_bias", bias)
    scales = weight_scales * torch.tensor(input_scale, dtype=torch.float32)
    integers = torch.clamp(torch.round(bias.double() / scales.double()), -(2**31), 2**31 - 1).to(torch.int32)
    if form is Weights.BAKED:
        return _get(module, f"{prefix}_bias", integers.float() * scales)
    zeros = torch.zeros(len(scales), dtype=torch.int64)
    arguments = (0, -(2**31), 2**31 - 1, torch.int32)
    parts = [
        _get(module, f"{prefix}_{name}", value)
        for name, value in (("bias", integers), ("bias_scales", scales), ("bias_zeros", zeros))
    ]
    return module.graph.call_function(_ops().dequantize_per_channel.default, (*parts, *arguments))


def _bias(module: GraphModule, node: Node, layer: LayerPlan, symmetric: bool) -> torch.Tensor | None:
    corrected = layer.bias.get(Scheme.SYMMETRIC if symmetric else Scheme.AFFINE)
    if corrected is not None:
        return torch.tensor(corrected, dtype=torch.float32)
    own = node.args[2] if len(node.args) > 2 else None
    return get_constant(module, str(own.target)) if isinstance(own, Node) else None


def _ops() -> torch._ops._OpNamespace:
    return torch.ops.quantized_decomposed


def _get(module: GraphModule, name: str, value: torch.Tensor) -> Node:
    module.register_buffer(name, value)
    return module.graph.get_attr(name)
