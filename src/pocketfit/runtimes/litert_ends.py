"""INT8 at the ends of a `.tflite` model: how numbers become its integers, and the same model with floats there.

LiteRT's build for browsers takes and gives no INT8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pocketfit.runtimes.litert_format import op_code, pack, unpack

if TYPE_CHECKING:
    import numpy as np

__all__ = ["on_grid", "quantized", "restored", "with_float_ends"]

# The first version of the op that takes INT8.
_DEQUANTIZE_INT8 = 2


def quantized(values: np.ndarray, details: Mapping[str, Any]) -> np.ndarray:
    """Numbers as the input takes them.

    Args:
        values: float32.
        details: of the input, as the interpreter tells them.
    """
    import numpy as np

    dtype = np.dtype(details["dtype"])
    if dtype == np.float32:
        return values
    scale, zero_point = details["quantization"]
    limits = np.iinfo(dtype)
    integers: np.ndarray = np.clip(np.rint(values / np.float32(scale)) + zero_point, limits.min, limits.max).astype(
        dtype
    )
    return integers


def restored(values: np.ndarray, details: Mapping[str, Any]) -> np.ndarray:
    """What the output's numbers stand for, in float32.

    Args:
        values: in the output's dtype.
        details: of the output, as the interpreter tells them.
    """
    import numpy as np

    if values.dtype == np.float32:
        return values.copy()
    scale, zero_point = details["quantization"]
    return (values.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)


def on_grid(content: bytes, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Inputs for the model with floats at its ends that become the integers which an app would feed.

    QUANTIZE multiplies by the reciprocal of the scale, so that what lies half-way between two integers, as pixels may
    in thousands, could become the other one.

    Args:
        content: of the .tflite file as it was.
        inputs: float32, as many as it has.
    """
    from ai_edge_litert.interpreter import Interpreter

    details = Interpreter(model_content=content).get_input_details()
    return [restored(quantized(values, one), one) for values, one in zip(inputs, details, strict=True)]


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
