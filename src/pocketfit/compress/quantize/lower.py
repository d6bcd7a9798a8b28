"""A plan written into a graph: quantize and dequantize nodes with the plan's own numbers.

The same function serves every runtime, so that all of them are given the same graph; they differ in how activations
are stored and in the form a converter wants weights in:

* `Weights.INTEGER`: INT8 constants behind a dequantize node. ONNX Runtime, ExecuTorch and Core ML.
* `Weights.CHAIN`: float constants behind quantize and dequantize nodes. LiteRT, whose converter folds them itself.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from enum import Enum

import torch
import torch.ao.quantization.fx._decomposed  # registers torch.ops.quantized_decomposed
from torch.fx import GraphModule, Node

from pocketfit.compress.quantize.fake import fake_quantize_weight
from pocketfit.graph.attributes import get_tensor, set_tensor
from pocketfit.types import LayerPlan, Precision, QuantizationPlan, Scheme

__all__ = ["Activations", "Weights", "lower"]


class Activations(Enum):
    """How INT8 activations are stored: affine unsigned, affine signed, or symmetric ±127 at layer inputs only."""

    UNSIGNED = (0, 255, torch.uint8)
    SIGNED = (-128, 127, torch.int8)
    SYMMETRIC = (-127, 127, torch.int8)


class Weights(Enum):
    """The form a converter wants quantized weights in."""

    INTEGER = "integer"
    CHAIN = "chain"


def lower(graph: GraphModule, plan: QuantizationPlan, activations: Activations, weights: Weights) -> GraphModule:
    """A copy of the canonical graph that computes what the plan says.

    Args:
        graph: the canonical float graph; left as it is.
        plan: float plans return a plain copy, float16 one with the layers' weights rounded to half.
        activations: how the runtime stores INT8 activations.
        weights: the form the converter wants.
    """
    lowered = plain_copy(graph)
    if plan.precision is Precision.FLOAT16:
        round_to_half(lowered, plan)
    elif plan.precision is Precision.INT8:
        nodes = {node.name: node for node in lowered.graph.nodes}
        # Layers first: a bias is stored with the scale of its layer's input, which is still the plain node here.
        for name, layer in plan.layers.items():
            _lower_layer(lowered, nodes[name], layer, plan, activations, weights)
        for name in plan.activations:
            lower_activation(lowered, nodes[name], plan, activations)
    finish(lowered)
    return lowered


def plain_copy(graph: GraphModule) -> GraphModule:
    """A copy without the input checks that `torch.export` hangs on its modules."""
    return GraphModule(copy.deepcopy(graph), copy.deepcopy(graph.graph))


def finish(module: GraphModule) -> None:
    """Drop what the changes left unread, so that no float weight travels along."""
    module.graph.eliminate_dead_code()
    module.delete_all_unused_submodules()
    read = {str(node.target) for node in module.graph.nodes if node.op == "get_attr"}
    for path in [name for name, _ in (*module.named_parameters(), *module.named_buffers()) if name not in read]:
        owner, _, name = path.rpartition(".")
        delattr(module.get_submodule(owner), name)
    module.recompile()


def round_to_half(module: GraphModule, plan: QuantizationPlan) -> None:
    """Round the weights of the plan's layers to float16 and back, in place."""
    for layer in plan.layers.values():
        set_tensor(module, layer.weight, get_tensor(module, layer.weight).half().float())


def lower_activation(module: GraphModule, node: Node, plan: QuantizationPlan, storage: Activations) -> None:
    """Put quantize and dequantize nodes behind `node`, for the readers that the storage quantizes for."""
    activation = plan.activations[node.name]
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
    module: GraphModule, node: Node, layer: LayerPlan, plan: QuantizationPlan, storage: Activations, form: Weights
) -> None:
    weight = get_tensor(module, layer.weight)
    arguments = (layer.axis, -127, 127, torch.int8)
    scales = torch.tensor(layer.weight_scales, dtype=torch.float32)
    zeros = torch.zeros(len(scales), dtype=torch.int64)
    prefix = f"_plan_{node.name}"
    graph = module.graph
    with graph.inserting_before(node):
        parameters = (add_constant(module, f"{prefix}_scales", scales), add_constant(module, f"{prefix}_zeros", zeros))
        if form is Weights.INTEGER:
            source = add_constant(module, f"{prefix}_weight", integer_weight(weight, layer))
        else:
            # On the grid already: the converter rounds halves its own way and must find the plan's integers.
            source = add_constant(module, f"{prefix}_weight", fake_quantize_weight(weight, layer))
            source = graph.call_function(_ops().quantize_per_channel.default, (source, *parameters, *arguments))
        restored = graph.call_function(_ops().dequantize_per_channel.default, (source, *parameters, *arguments))
        bias = plan_bias(module, node, layer, Scheme.SYMMETRIC if storage is Activations.SYMMETRIC else Scheme.AFFINE)
        new_bias = None
        if bias is not None:
            new_bias = _lower_bias(module, node, bias, layer, plan, storage, form)
    node.args = (node.args[0], restored, new_bias, *node.args[3:])


def integer_weight(weight: torch.Tensor, layer: LayerPlan) -> torch.Tensor:
    """The layer's weight as INT8."""
    scales = torch.tensor(layer.weight_scales, dtype=torch.float32)
    zeros = torch.zeros(len(scales), dtype=torch.int64)
    integers: torch.Tensor = _ops().quantize_per_channel.default(
        weight, scales, zeros, layer.axis, -127, 127, torch.int8
    )
    return integers


def integer_bias(bias: torch.Tensor, layer: LayerPlan, input_scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The bias as INT32 and its scales (input scale × weight scale), as integer kernels add it."""
    scales = torch.tensor(layer.weight_scales, dtype=torch.float32) * torch.tensor(input_scale, dtype=torch.float32)
    integers = torch.clamp(torch.round(bias.double() / scales.double()), -(2**31), 2**31 - 1)
    return integers.to(torch.int32), scales


def _lower_bias(
    module: GraphModule,
    node: Node,
    bias: torch.Tensor,
    layer: LayerPlan,
    plan: QuantizationPlan,
    storage: Activations,
    form: Weights,
) -> Node:
    name = f"_plan_{node.name}_bias"
    if storage is Activations.SYMMETRIC or form is Weights.CHAIN:  # LiteRT's converter derives the same integers itself
        return add_constant(module, name, bias)
    integers, scales = integer_bias(bias, layer, plan.activations[input_of(node).name].scale)
    zeros = torch.zeros(len(scales), dtype=torch.int64)
    parts = (
        add_constant(module, name, integers),
        add_constant(module, f"{name}_scales", scales),
        add_constant(module, f"{name}_zeros", zeros),
    )
    arguments = (0, -(2**31), 2**31 - 1, torch.int32)
    return module.graph.call_function(_ops().dequantize_per_channel.default, (*parts, *arguments))


def input_of(node: Node) -> Node:
    """The node whose value a layer reads."""
    source = node.args[0]
    assert isinstance(source, Node)
    return source


def plan_bias(module: GraphModule, node: Node, layer: LayerPlan, scheme: Scheme) -> torch.Tensor | None:
    """The float bias a layer gets: the plan's corrected one, else its own, else None."""
    corrected = layer.bias.get(scheme)
    if corrected is not None:
        return torch.tensor(corrected, dtype=torch.float32)
    own = node.args[2] if len(node.args) > 2 else None
    return get_tensor(module, str(own.target)) if isinstance(own, Node) else None


def add_constant(module: GraphModule, name: str, value: torch.Tensor) -> Node:
    """A new buffer and the node that reads it, at the graph's insertion point."""
    module.register_buffer(name, value)
    return module.graph.get_attr(name)


def _ops() -> torch._ops._OpNamespace:
    return torch.ops.quantized_decomposed
