"""A `.tflite` file whose input is uint8: one op in front restores what the graph computes with."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from pocketfit.runtimes.litert_format import compact, pack, unpack

__all__ = ["take_uint8"]


def take_uint8(content: bytes) -> bytes:
    """Give the input the type UINT8 with a scale of 1, under its name.

    Args:
        content: of a file of one input, float32 or INT8.

    Returns:
        Of a file that takes the pixels 0..255 which were that input's values, and dequantizes or requantizes them.
    """
    model = unpack(content)
    graph = model.subgraphs[0]
    (inside,) = (int(index) for index in graph.inputs)
    given = len(graph.tensors)
    graph.tensors.append(_pixels(graph.tensors[inside]))
    graph.operators.insert(0, _restoring(model, given, inside))
    graph.inputs = [given]
    for signature in model.signatureDefs or ():
        for entry in signature.inputs:
            entry.tensorIndex = given
    compact(model)
    return pack(model)


def _pixels(inside: Any) -> Any:
    """The new input, which takes the name of the old one."""
    from ai_edge_litert import schema_py_generated as schema

    pixels = copy.copy(inside)
    pixels.type = schema.TensorType.UINT8
    pixels.quantization = schema.QuantizationParametersT()
    pixels.quantization.scale = np.ones(1, np.float32)
    pixels.quantization.zeroPoint = np.zeros(1, np.int64)
    inside.name = inside.name + b"_inside"
    return pixels


def _restoring(model: Any, given: int, inside: int) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    floats = model.subgraphs[0].tensors[inside].type == schema.TensorType.FLOAT32
    kind = "Dequantize" if floats else "Quantize"
    op = schema.OperatorT()
    op.opcodeIndex = _opcode(model, getattr(schema.BuiltinOperator, kind.upper()))
    op.inputs, op.outputs = [given], [inside]
    op.builtinOptionsType = getattr(schema.BuiltinOptions, f"{kind}Options")
    op.builtinOptions = getattr(schema, f"{kind}OptionsT")()
    return op


def _opcode(model: Any, builtin: int) -> int:
    """Index of an op's kind; a new one where the model has none of it."""
    from ai_edge_litert import schema_py_generated as schema

    for index, code in enumerate(model.operatorCodes):
        if code.builtinCode == builtin:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = builtin
    code.version = 1
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1
