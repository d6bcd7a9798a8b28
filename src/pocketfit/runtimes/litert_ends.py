"""The same `.tflite` model with floats at its ends: LiteRT's build for browsers takes and gives no INT8."""

from __future__ import annotations

from typing import Any

from pocketfit.runtimes.litert_format import op_code, pack, unpack

__all__ = ["with_float_ends"]

# The first version of the op that takes INT8.
_DEQUANTIZE_INT8 = 2


def with_float_ends(content: bytes) -> bytes:
    """Put QUANTIZE behind every INT8 input and DEQUANTIZE before every INT8 output; all layers stay as they are.

    Args:
        content: of a .tflite file.

    Returns:
        The model, or `content` itself where it has no such end.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = unpack(content)
    (graph,) = model.subgraphs
    inputs = _int8(graph, graph.inputs)
    outputs = _int8(graph, graph.outputs)
    if not inputs and not outputs:
        return content
    floats = {index: _add_float(graph, index) for index in dict.fromkeys([*inputs, *outputs])}
    quantize = op_code(model, schema.BuiltinOperator.QUANTIZE, 1)
    dequantize = op_code(model, schema.BuiltinOperator.DEQUANTIZE, _DEQUANTIZE_INT8)
    before = [_operator(quantize, floats[index], index) for index in inputs]
    after = [_operator(dequantize, index, floats[index]) for index in outputs]
    graph.operators = [*before, *graph.operators, *after]
    graph.inputs = [floats.get(int(index), int(index)) for index in graph.inputs]
    graph.outputs = [floats.get(int(index), int(index)) for index in graph.outputs]
    for signature in model.signatureDefs or ():
        for end in (*signature.inputs, *signature.outputs):
            end.tensorIndex = floats.get(end.tensorIndex, end.tensorIndex)
    return pack(model)


def _int8(graph: Any, indices: Any) -> list[int]:
    from ai_edge_litert import schema_py_generated as schema

    whole = dict.fromkeys(int(index) for index in indices)
    return [index for index in whole if graph.tensors[index].type == schema.TensorType.INT8]


def _add_float(graph: Any, index: int) -> int:
    """A tensor of floats for one of integers, which gives it its name."""
    from ai_edge_litert import schema_py_generated as schema

    inner, outer = graph.tensors[index], schema.TensorT()
    outer.name, outer.shape, outer.hasRank = inner.name, inner.shape, inner.hasRank
    outer.shapeSignature = inner.shapeSignature
    outer.type, outer.buffer = schema.TensorType.FLOAT32, 0
    inner.name = inner.name + b"_int8"
    graph.tensors.append(outer)
    return len(graph.tensors) - 1


def _operator(code: int, given: int, made: int) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, [given], [made]
    return operator
