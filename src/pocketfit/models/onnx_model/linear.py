"""Products by a weight as linear layers, which is what quantization knows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pocketfit.models.onnx_model.program import Program
from pocketfit.models.onnx_ops.call import Numbers, OnnxNode

__all__ = ["join_linear"]


def join_linear(program: Program) -> Program:
    """Turn `MatMul` by a weight, with the `Add` of a bias behind it, and `Gemm` by a weight into linear layers.

    Their weights are stored as torch has them, output features first.
    """
    for node in program.nodes:
        if node.op == "MatMul" and _is_float(program, node.inputs[1], 2):
            program = _with_bias(program, node)
        elif node.op == "Gemm" and not node.attributes.get("transB", 0) and _is_float(program, node.inputs[1], 2):
            turned = replace(node, attributes={**node.attributes, "transB": 1})
            program = _turned(program, node, turned)
    return program


def _with_bias(program: Program, product: OnnxNode) -> Program:
    linear = replace(product, op="Linear")
    added = _sum_behind(program, product)
    if added is not None:
        bias = next(name for name in added.inputs if name != product.outputs[0])
        linear = replace(linear, inputs=(*product.inputs, bias), outputs=added.outputs)
        program = replace(program, nodes=tuple(node for node in program.nodes if node is not added))
    return _turned(program, product, linear)


def _sum_behind(program: Program, product: OnnxNode) -> OnnxNode | None:
    """The only reader of a product, where it adds one number to each of its columns."""
    readers = program.readers(product.outputs[0])
    if len(readers) != 1 or readers[0].op != "Add" or product.outputs[0] in program.outputs:
        return None
    columns = program.weights[product.inputs[1]].shape[1]
    biases = [name for name in readers[0].inputs if _is_float(program, name, 1)]
    return readers[0] if biases and program.weights[biases[0]].size == columns else None


def _turned(program: Program, old: OnnxNode, new: OnnxNode) -> Program:
    """Put a node in the place of another one, with its weight transposed; one that others read as well is copied."""
    name = new.inputs[1]
    turned = name if len(program.readers(name)) == 1 else f"{name}_transposed"
    weights = {**program.weights, turned: _transposed(program.weights[name])}
    new = replace(new, inputs=(new.inputs[0], turned, *new.inputs[2:]))
    return replace(program, weights=weights, nodes=tuple(new if node is old else node for node in program.nodes))


def _transposed(array: Numbers) -> Numbers:
    return np.ascontiguousarray(array.T)


def _is_float(program: Program, name: str, rank: int) -> bool:
    array = program.weights.get(name)
    return array is not None and array.ndim == rank and np.issubdtype(array.dtype, np.floating)
