"""The float graph that MNN's converter is given: the plan's weights restored, its biases, and nothing quantized.

What is INT8 is said in the converted file, and only of layers that both read and write INT8. Where the plan quantizes
the input of another layer, or its result, the graph itself rounds to the plan's grid.
"""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from pocketfit.compress.quantize.arithmetic import Arithmetic, arithmetic, input_of, written_tensor
from pocketfit.compress.quantize.lower import (
    Activations,
    Weights,
    finish,
    last_placeholder,
    lower,
    lower_float_layer,
    weight_constants,
)
from pocketfit.compress.quantize.placement import fused_activation, is_layer
from pocketfit.graph.running import plain_copy
from pocketfit.types import ActivationPlan, Precision, QuantizationPlan, Scheme, Variant

__all__ = ["deployed_graph"]


def deployed_graph(variant: Variant) -> GraphModule:
    """A copy of the model's graph that computes the plan in float, but for the roundings between INT8 layers."""
    plan, graph = variant.plan, variant.model.graph
    if plan.precision is not Precision.INT8:
        return lower(graph, plan, Activations.SIGNED, Weights.INTEGER)
    module = plain_copy(graph)
    nodes = {node.name: node for node in module.graph.nodes}
    for name, constant in weight_constants(graph, plan).items():
        lower_float_layer(module, nodes[name], plan.layers[name], Scheme.AFFINE, constant)
    for original in graph.graph.nodes:
        if is_layer(original) and written_tensor(original, plan) is None:
            _round_around(module, nodes, original, plan)
    finish(module)
    return module


def _round_around(module: GraphModule, nodes: dict[str, Node], original: Node, plan: QuantizationPlan) -> None:
    """Round what a layer reads, where it reads integers, and what it gives, where the plan quantizes that."""
    layer = nodes[original.name]
    if arithmetic(original, plan) is Arithmetic.INTEGER:
        source = input_of(layer)
        layer.args = (_rounded(module, source, plan.activations[input_of(original).name]), *layer.args[1:])
    result = fused_activation(original) or original
    numbers = plan.activations.get(result.name)
    if numbers is not None:
        given = nodes[result.name]
        users = list(given.users)
        rounded = _rounded(module, given, numbers)
        for user in users:
            user.replace_input_with(given, rounded)


def _rounded(module: GraphModule, source: Node, numbers: ActivationPlan) -> Node:
    aten = torch.ops.aten
    bounds = (-numbers.zero_point, 255 - numbers.zero_point)
    with module.graph.inserting_after(last_placeholder(source)):
        values = module.graph.call_function(aten.div.Tensor, (source, numbers.scale))
    with module.graph.inserting_after(values):
        values = module.graph.call_function(aten.round.default, (values,))
    with module.graph.inserting_after(values):
        values = module.graph.call_function(aten.clamp.default, (values, *bounds))
    with module.graph.inserting_after(values):
        return module.graph.call_function(aten.mul.Tensor, (values, numbers.scale))
