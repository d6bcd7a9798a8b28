"""A plan's graph in the form that XNNPACK's partitioner takes whole.

The partitioner looks for fixed shapes of quantize and dequantize nodes; what has another shape it leaves to slow
portable kernels, in float, or takes with the wrong scale. Each function here brings one such place into shape, and none
changes a number.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.fx import GraphModule, Node

from pocketfit.compress.quantize.arithmetic import Arithmetic, arithmetic, input_of, written_tensor
from pocketfit.compress.quantize.lower import (
    STATIC,
    Activations,
    Weights,
    add_constant,
    finish,
    integer_weight,
    lower,
    weight_constants,
)
from pocketfit.graph.attributes import get_tensor
from pocketfit.graph.running import plain_copy
from pocketfit.runtimes.executorch_ops import write_out_ops
from pocketfit.types import Precision, QuantizationPlan, Variant

__all__ = ["lower_for_xnnpack", "restored_layers"]

aten = torch.ops.aten
decomposed = torch.ops.quantized_decomposed

_CHANNELS_LAST = frozenset(
    {
        aten.avg_pool2d.default,
        aten.conv2d.default,
        aten.conv_transpose2d.input,
        aten.max_pool2d.default,
        aten.upsample_bilinear2d.vec,
    }
)
_LAID_OUT_ANEW = frozenset(
    {aten.bmm.default, aten.matmul.default, aten.permute.default, aten.reshape.default, aten.view.default}
)

QUANTIZE = decomposed.quantize_per_tensor.default
DEQUANTIZE = decomposed.dequantize_per_tensor.default
DEQUANTIZE_CHANNELS = decomposed.dequantize_per_channel.default

# Scale of an input that is zero everywhere: what XNNPACK itself takes is lost in rounding, too.
SMALLEST_DYNAMIC_SCALE = torch.finfo(torch.float32).eps


def lower_for_xnnpack(variant: Variant) -> GraphModule:
    """A copy of the variant's graph with the plan in it, to be exported and partitioned."""
    graph = plain_copy(variant.model.graph)
    _name_hard_tanh(graph)
    renamed = write_out_ops(graph)
    activations = {renamed.get(name, name): numbers for name, numbers in variant.plan.activations.items()}
    plan = _keep_dimensions(graph, _softmax_of_rows(graph, replace(variant.plan, activations=activations)))
    lowered = lower(graph, plan, Activations.SIGNED, Weights.INTEGER)
    _restore_float_layers(lowered, graph, plan)
    _quantize_at_run_time(lowered, graph, plan)
    _restore_biases(lowered)
    _requantize_before_concatenations(lowered)
    _restore_once_per_reader(lowered)
    finish(lowered)
    return lowered


def _name_hard_tanh(graph: GraphModule) -> None:
    """XNNPACK's partitioner fuses a hardtanh into the layer before it, and a clamp, which is the same, not."""
    for node in graph.graph.nodes:
        if node.target is aten.clamp.default and len(node.args) == 3 and None not in node.args:
            node.target = aten.hardtanh.default


def _softmax_of_rows(graph: GraphModule, plan: QuantizationPlan) -> QuantizationPlan:
    """Take a softmax over the width of an image as one over rows: with channels last, XNNPACK takes the wrong axis."""
    activations = dict(plan.activations)
    for node in [node for node in graph.graph.nodes if _is_softmax_over_width(node)]:
        source, shape = input_of(node), [int(size) for size in node.meta["val"].shape[1:]]
        with graph.graph.inserting_before(node):
            rows = graph.graph.call_function(aten.reshape.default, (source, [-1, shape[-1]]))
        with graph.graph.inserting_after(node):
            image = graph.graph.call_function(aten.reshape.default, (node, [-1, *shape]))
        rows.meta, image.meta = dict(node.meta), dict(node.meta)
        node.replace_all_uses_with(image, delete_user_cb=lambda user, image=image: user is not image)
        node.args = (rows, -1)
        if node.name in activations:
            activations[image.name] = activations[node.name]
    return replace(plan, activations=activations)


def _is_softmax_over_width(node: Node) -> bool:
    return (
        node.target is aten.softmax.int
        and node.meta["val"].ndim == 4
        and node.args[1] in (-1, 3)
        and _may_have_channels_last(input_of(node))
    )


def _may_have_channels_last(node: Node) -> bool:
    """Whether a convolution or a pooling is behind it, with nothing between that would lay it out anew."""
    if node.target in _LAID_OUT_ANEW or node.op != "call_function" or node.meta["val"].ndim != 4:
        return False
    if node.target in _CHANNELS_LAST:
        return True
    return any(_may_have_channels_last(source) for source in node.all_input_nodes if source.op == "call_function")


def _keep_dimensions(graph: GraphModule, plan: QuantizationPlan) -> QuantizationPlan:
    """Take global means with their dimensions kept, as XNNPACK does, and drop those behind; both have one scale."""
    activations = dict(plan.activations)
    for node in [node for node in graph.graph.nodes if _is_global_mean(node)]:
        node.args = (*node.args[:2], True)
        with graph.graph.inserting_after(node):
            flat = graph.graph.call_function(aten.reshape.default, (node, [-1, int(node.meta["val"].shape[1])]))
        flat.meta = dict(node.meta)
        node.replace_all_uses_with(flat, delete_user_cb=lambda user, flat=flat: user is not flat)
        if node.name in activations:
            activations[flat.name] = activations[node.name]
    return replace(plan, activations=activations)


def _is_global_mean(node: Node) -> bool:
    """Whether it averages height and width away."""
    if node.target is not aten.mean.dim or any(node.args[2:]) or node.kwargs:
        return False
    source, axes = node.args[:2]
    assert isinstance(source, Node) and isinstance(axes, Sequence)
    rank = node.meta["val"].ndim + len(axes)
    return rank == 4 and sorted(axis % rank for axis in axes) == [2, 3]


def restored_layers(graph: GraphModule, plan: QuantizationPlan) -> list[str]:
    """Layers that read integers and write float, for which XNNPACK has no kernel: they get their weight restored."""
    layers = (node for node in _layers(graph, plan) if arithmetic(node, plan) in STATIC)
    return [node.name for node in layers if written_tensor(node, plan) is None]


def _restore_float_layers(lowered: GraphModule, graph: GraphModule, plan: QuantizationPlan) -> None:
    floats = set(restored_layers(graph, plan))
    for node in [node for node in lowered.graph.nodes if node.name in floats]:
        node.args = (node.args[0], _folded(lowered, node.args[1]), *node.args[2:])


def _layers(graph: GraphModule, plan: QuantizationPlan) -> list[Node]:
    """The plan's layers; float plans are not asked about, because they say nothing of arithmetic."""
    if plan.precision is not Precision.INT8:
        return []
    return [node for node in graph.graph.nodes if node.name in plan.layers]


def _quantize_at_run_time(lowered: GraphModule, graph: GraphModule, plan: QuantizationPlan) -> None:
    """Put in front of dynamic layers what XNNPACK replaces by kernels that find the range of each row themselves."""
    constants = weight_constants(graph, plan)
    dynamic = {node.name for node in _layers(graph, plan) if arithmetic(node, plan) is Arithmetic.DYNAMIC}
    for node in [node for node in lowered.graph.nodes if node.name in dynamic]:
        with lowered.graph.inserting_before(node):
            values = _quantized_at_run_time(lowered, input_of(node))
            weight = _integer_weight(lowered, graph, plan, node.name, f"{constants[node.name]}_integers")
        node.args = (values, weight, *node.args[2:])


def _quantized_at_run_time(module: GraphModule, source: Node) -> Node:
    call = module.graph.call_function
    limits = (-128, 127)
    chosen = call(decomposed.choose_qparams.tensor, (source, *limits, SMALLEST_DYNAMIC_SCALE, torch.int8))
    numbers = (call(operator.getitem, (chosen, 0)), call(operator.getitem, (chosen, 1)), *limits, torch.int8)
    integers = call(decomposed.quantize_per_tensor.tensor, (source, *numbers))
    return call(decomposed.dequantize_per_tensor.tensor, (integers, *numbers))


def _integer_weight(lowered: GraphModule, graph: GraphModule, plan: QuantizationPlan, layer: str, name: str) -> Node:
    numbers = plan.layers[layer]
    scales = torch.tensor(numbers.weight_scales, dtype=torch.float32)
    parts = (
        add_constant(lowered, name, integer_weight(get_tensor(graph, numbers.weight), numbers)),
        add_constant(lowered, f"{name}_scales", scales),
        add_constant(lowered, f"{name}_zeros", torch.zeros(len(scales), dtype=torch.int64)),
    )
    return lowered.graph.call_function(DEQUANTIZE_CHANNELS, (*parts, numbers.axis, -127, 127, torch.int8))


def _restore_biases(lowered: GraphModule) -> None:
    """Turn integer biases into the floats that XNNPACK's serializer rounds to the same integers."""
    for node in list(lowered.graph.nodes):
        if node.target is DEQUANTIZE_CHANNELS and node.args[-1] is torch.int32:
            node.replace_all_uses_with(_folded(lowered, node))


def _folded(module: GraphModule, node: Node) -> Node:
    """What the node computes from constants, as a constant."""
    assert callable(node.target)
    arguments = [get_tensor(module, str(part.target)) if isinstance(part, Node) else part for part in node.args]
    with module.graph.inserting_before(node):
        return add_constant(module, f"_float_{node.name}", node.target(*arguments))


def _requantize_before_concatenations(lowered: GraphModule) -> None:
    """Bring what has a fixed range, and so a scale of its own, to the scale of the concatenation."""
    for node in list(lowered.graph.nodes):
        written = next(iter(node.users), None)
        if node.target is not aten.cat.default or written is None or written.target is not QUANTIZE:
            continue
        for source in node.all_input_nodes:
            if source.target is DEQUANTIZE and source.args[1:] != written.args[1:]:
                node.replace_input_with(source, _requantized(lowered, source, written.args[1:]))


def _requantized(module: GraphModule, source: Node, numbers: tuple[Any, ...]) -> Node:
    with module.graph.inserting_after(source):
        integers = module.graph.call_function(QUANTIZE, (source, *numbers))
    with module.graph.inserting_after(integers):
        return module.graph.call_function(DEQUANTIZE, (integers, *numbers))


def _restore_once_per_reader(lowered: GraphModule) -> None:
    """Give each reader a dequantize node of its own: one is taken into an integer op, the next stays in float."""
    for node in [node for node in lowered.graph.nodes if node.target is DEQUANTIZE]:
        for reader in list(node.users)[1:]:
            with lowered.graph.inserting_after(node):
                restored = lowered.graph.call_function(DEQUANTIZE, node.args)
            reader.replace_input_with(node, restored)
