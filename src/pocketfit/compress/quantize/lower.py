"""A plan written into a graph: quantize and dequantize nodes with the plan's own numbers.

The same function serves every runtime, so that all of them are given the same graph; they differ in how activations
are stored and in the form a converter wants weights in:

* `Weights.INTEGER`: INT8 constants behind a dequantize node. ONNX Runtime, ExecuTorch and Core ML.
* `Weights.CHAIN`: float constants behind quantize and dequantize nodes. LiteRT, whose converter folds them itself.

A layer that reads no static integers (weight-only, dynamic, half) gets a plain float constant that holds the very
numbers the plan stores, and its input as it is: such a graph computes what the plan says, but for the ranges that a
dynamic layer takes at run time. A runtime that stores these weights narrow, or quantizes at run time, rewrites the
converted file.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import torch
import torch.ao.quantization.fx._decomposed  # registers torch.ops.quantized_decomposed
from torch.fx import GraphModule, Node

from pocketfit.compress.quantize.arithmetic import Arithmetic, arithmetic, input_of, written_tensor
from pocketfit.compress.quantize.fake import fake_quantize_weight, weight_limit
from pocketfit.graph.attributes import get_tensor, set_tensor
from pocketfit.graph.running import plain_copy
from pocketfit.types import ActivationPlan, LayerPlan, Precision, QuantizationPlan, Scheme

__all__ = ["STATIC", "Activations", "Weights", "input_of", "lower", "weight_constants"]

# Layers whose inputs are integers with a range known beforehand; converters get their weights as integers, too.
STATIC = (Arithmetic.INTEGER, Arithmetic.WIDE)


class Activations(Enum):
    """How 8-bit activations are stored: affine unsigned, affine signed, or symmetric ±127 at layer inputs only."""

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
        names = weight_constants(graph, plan)
        # Layers first: a bias is stored with the scale of its layer's input, which is still the plain node here.
        for name, layer in plan.layers.items():
            if arithmetic(nodes[name], plan) in STATIC:
                _lower_static_layer(lowered, nodes[name], layer, plan, activations, weights, names[name])
            else:
                lower_float_layer(lowered, nodes[name], layer, _scheme(activations), names[name])
        for name in plan.activations:
            lower_activation(lowered, nodes[name], plan, activations)
    finish(lowered)
    return lowered


def weight_constants(graph: GraphModule, plan: QuantizationPlan) -> dict[str, str]:
    """What `lower` calls each layer's stored weight; layers that store the same weight alike share one constant.

    Args:
        graph: the canonical float graph.
        plan: an INT8 plan.

    Returns:
        Name of the constant by layer.
    """
    first: dict[tuple[object, ...], str] = {}
    names = {}
    for node in graph.graph.nodes:
        if node.name in plan.layers:
            layer = plan.layers[node.name]
            kind = arithmetic(node, plan)
            form = Arithmetic.INTEGER if kind in STATIC else kind
            key = (layer.weight, layer.axis, layer.weight_scales, layer.weight_bits, form)
            names[node.name] = first.setdefault(key, f"_plan_{node.name}_weight")
    return names


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
    arguments = _grid(plan.activations[node.name], storage)
    reads: Callable[[Node], bool] = lambda user: True  # noqa: E731
    if storage is Activations.SYMMETRIC:
        reads = lambda user: user.args[0] is node and _reads_integers(user, plan)  # noqa: E731
    readers = [user for user in node.users if reads(user)]
    if not readers:
        return
    with module.graph.inserting_after(last_placeholder(node)):
        quantized = module.graph.call_function(_ops().quantize_per_tensor.default, (node, *arguments))
    with module.graph.inserting_after(quantized):
        restored = module.graph.call_function(_ops().dequantize_per_tensor.default, (quantized, *arguments))
    for user in readers:
        user.replace_input_with(node, restored)


def _grid(activation: ActivationPlan, storage: Activations) -> tuple[float, int, int, int, torch.dtype]:
    """Scale, zero point, lowest and highest integer, and type."""
    if activation.bits == 16:
        return activation.scale, 0, -32767, 32767, torch.int16
    low, high, dtype = storage.value
    if storage is Activations.SYMMETRIC:
        return activation.symmetric_scale, 0, low, high, dtype
    return activation.scale, activation.zero_point + low, low, high, dtype


def _reads_integers(user: Node, plan: QuantizationPlan) -> bool:
    """Whether it is a layer that the plan gives integers; one that is half or dynamic has its own way with floats."""
    layer = plan.layers.get(user.name)
    return layer is not None and bool(layer.weight_scales) and not layer.dynamic


def last_placeholder(node: Node) -> Node:
    """Placeholders stay together at the top of the graph."""
    while node.op == "placeholder" and node.next.op == "placeholder":
        node = node.next
    return node


def _lower_static_layer(
    module: GraphModule,
    node: Node,
    layer: LayerPlan,
    plan: QuantizationPlan,
    storage: Activations,
    form: Weights,
    name: str,
) -> None:
    weight = get_tensor(module, layer.weight)
    limit = weight_limit(layer)
    arguments = (layer.axis, -limit, limit, torch.int8)
    scales = torch.tensor(layer.weight_scales, dtype=torch.float32)
    zeros = torch.zeros(len(scales), dtype=torch.int64)
    prefix = name.removesuffix("_weight")
    graph = module.graph
    with graph.inserting_before(node):
        parameters = (add_constant(module, f"{prefix}_scales", scales), add_constant(module, f"{prefix}_zeros", zeros))
        if form is Weights.INTEGER:
            source = add_constant(module, name, integer_weight(weight, layer))
        else:
            # On the grid already: the converter rounds halves its own way and must find the plan's integers.
            source = add_constant(module, name, fake_quantize_weight(weight, layer))
            source = graph.call_function(_ops().quantize_per_channel.default, (source, *parameters, *arguments))
        restored = graph.call_function(_ops().dequantize_per_channel.default, (source, *parameters, *arguments))
        bias = plan_bias(module, node, layer, _scheme(storage))
        new_bias = None
        if bias is not None:
            new_bias = _lower_bias(module, node, bias, layer, plan, storage, form)
    node.args = (node.args[0], restored, new_bias, *node.args[3:])


def lower_float_layer(module: GraphModule, node: Node, layer: LayerPlan, scheme: Scheme, name: str) -> None:
    """Give a layer that computes in float the weight the plan stores, restored, and the plan's bias.

    Args:
        module: changed in place.
        node: the layer in it.
        layer: its plan.
        scheme: which corrected bias it gets.
        name: of the constant that holds the weight.
    """
    weight = fake_quantize_weight(get_tensor(module, layer.weight), layer)
    bias = plan_bias(module, node, layer, scheme)
    with module.graph.inserting_before(node):
        restored = add_constant(module, name, weight)
        new_bias = None if bias is None else add_constant(module, f"_plan_{node.name}_bias", bias)
    node.args = (node.args[0], restored, new_bias, *node.args[3:])


def _scheme(storage: Activations) -> Scheme:
    return Scheme.SYMMETRIC if storage is Activations.SYMMETRIC else Scheme.AFFINE


def integer_weight(weight: torch.Tensor, layer: LayerPlan) -> torch.Tensor:
    """The layer's weight as INT8, within ±7 where the plan says 4 bits."""
    scales = torch.tensor(layer.weight_scales, dtype=torch.float32)
    zeros = torch.zeros(len(scales), dtype=torch.int64)
    limit = weight_limit(layer)
    integers: torch.Tensor = _ops().quantize_per_channel.default(
        weight, scales, zeros, layer.axis, -limit, limit, torch.int8
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
    # LiteRT's converter derives the same integers itself; whatever does not write 8 bits adds its bias in float.
    if storage is Activations.SYMMETRIC or form is Weights.CHAIN or written_tensor(node, plan) is None:
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


def plan_bias(module: GraphModule, node: Node, layer: LayerPlan, scheme: Scheme) -> torch.Tensor | None:
    """The float bias a layer gets: the plan's corrected one, else its own, else None."""
    corrected = layer.bias.get(scheme)
    if corrected is not None:
        return torch.tensor(corrected, dtype=torch.float32)
    own = node.args[2] if len(node.args) > 2 else None
    return get_tensor(module, str(own.target)) if isinstance(own, Node) else None


def add_constant(module: GraphModule, name: str, value: torch.Tensor) -> Node:
    """A buffer, new unless one of that name is there, and a node that reads it, at the graph's insertion point."""
    if not hasattr(module, name):
        module.register_buffer(name, value)
    return module.graph.get_attr(name)


def _ops() -> torch._ops._OpNamespace:
    return torch.ops.quantized_decomposed
