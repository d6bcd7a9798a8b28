"""What keeps LiteRT's converter from quantizing layers that the plan leaves in float.

It quantizes every layer that stands between a dequantize and a quantize op, whatever its weight, with scales of its own
making. It gives a concatenation of float and restored tensors the scale of one of the restored, which clips the others.
It makes one op of a normalisation, square and all, which takes no scale but 1/128. An op that has no integer form, put
between, stops it; it is taken out of the finished model. What the op computes does not matter, so that any will do that
the model does not hold itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from pocketfit.compress.quantize.arithmetic import Arithmetic, arithmetic
from pocketfit.compress.quantize.placement import is_layer
from pocketfit.errors import ConversionError

if TYPE_CHECKING:
    from torch.fx import GraphModule

    from pocketfit.types import QuantizationPlan

__all__ = ["lower_barriers", "raise_barriers"]

# Elementwise, without an integer kernel, and not to be simplified away.
_BARRIERS = {torch.ops.aten.floor.default: "FLOOR", torch.ops.aten.ceil.default: "CEIL"}
_JOIN = torch.ops.aten.cat.default
_SQUARE = torch.ops.aten.pow.Tensor_Scalar


def raise_barriers(lowered: GraphModule, graph: GraphModule, plan: QuantizationPlan) -> str:
    """Put a barrier before each layer, concatenation and square that computes in float on restored tensors, in place.

    Args:
        lowered: what `lower` made of `graph` and `plan`.
        graph: the canonical float graph.
        plan: an INT8 plan.

    Returns:
        The name of LiteRT's op that is the barrier; empty where none is needed.
    """
    floats = {node.name for node in graph.graph.nodes if _is_float(node, plan)}
    if not floats:
        return ""
    taken = {node.target for node in graph.graph.nodes}
    free = [op for op in _BARRIERS if op not in taken]
    if not free:
        raise ConversionError("litert", "a model with both floor and ceil cannot have float layers in an INT8 plan")
    for node in [node for node in lowered.graph.nodes if node.name in floats]:
        for source in node.all_input_nodes if node.target is _JOIN else node.all_input_nodes[:1]:
            with lowered.graph.inserting_before(node):
                barrier = lowered.graph.call_function(free[0], (source,))
            barrier.meta = dict(source.meta)
            node.replace_input_with(source, barrier)
    lowered.recompile()
    return _BARRIERS[free[0]]


def _is_float(node: torch.fx.Node, plan: QuantizationPlan) -> bool:
    if node.target is _JOIN:
        return node.name not in plan.activations and any(
            str(source) in plan.activations for source in node.all_input_nodes
        )
    if not (is_layer(node) or node.target is _SQUARE) or str(node.args[0]) not in plan.activations:
        return False
    return node.target is _SQUARE or arithmetic(node, plan) in (Arithmetic.FLOAT, Arithmetic.HALF, Arithmetic.DYNAMIC)


def lower_barriers(model: Any, name: str) -> None:
    """Take all ops of that name out of an unpacked model, in place; what read their results reads their inputs."""
    from ai_edge_litert import schema_py_generated as schema

    if not name:
        return
    kind = getattr(schema.BuiltinOperator, name)
    for graph in model.subgraphs:
        barriers = [op for op in graph.operators if model.operatorCodes[op.opcodeIndex].builtinCode == kind]
        source = {int(op.outputs[0]): int(op.inputs[0]) for op in barriers}
        graph.operators = [op for op in graph.operators if int(op.outputs[0]) not in source]
        for op in graph.operators:
            op.inputs = [source.get(int(index), int(index)) for index in op.inputs]
