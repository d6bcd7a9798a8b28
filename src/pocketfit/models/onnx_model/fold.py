"""Make a program smaller before it becomes a module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pocketfit.errors import ModelError, PocketfitError
from pocketfit.models.onnx_model.linear import join_linear
from pocketfit.models.onnx_model.program import Program
from pocketfit.models.onnx_ops import OPERATORS
from pocketfit.models.onnx_ops.call import Call, Constant, Numbers, OnnxNode, Value

__all__ = ["fold", "outputs_of"]


def fold(program: Program) -> Program:
    """Compute what depends on weights alone, and make linear layers of products by a weight.

    Raises:
        ModelError: a node cannot be computed, naming it.
    """
    return join_linear(_fold_constants(program))


def outputs_of(result: Value | tuple[Value, ...] | list[Value]) -> tuple[Value, ...]:
    """What an operator's function returned, as a tuple."""
    return tuple(result) if isinstance(result, tuple | list) else (result,)


def _fold_constants(program: Program) -> Program:
    weights, nodes = dict(program.weights), []
    for node in program.nodes:
        if all(name in weights for name in node.inputs if name):
            weights.update(_computed(node, weights))
        else:
            nodes.append(node)
    return replace(program, nodes=tuple(nodes), weights=weights)


def _computed(node: OnnxNode, weights: Mapping[str, Numbers]) -> dict[str, Numbers]:
    call = Call(node, [Constant(weights[name]) if name else None for name in node.inputs])
    try:
        results = outputs_of(OPERATORS[node.op](call))
    except PocketfitError:
        raise
    # What is wrong with a node decides what torch or numpy raise.
    except Exception as error:
        raise ModelError(f"{node} cannot be computed: {type(error).__name__}: {error}") from error
    return {name: _array(value) for name, value in zip(node.outputs, results, strict=False) if name}


def _array(value: Value) -> Numbers:
    if isinstance(value, Tensor):
        value = value.detach().to(torch.float32 if value.is_floating_point() else value.dtype).numpy()
    array = value.array if isinstance(value, Constant) else value
    # Sizes of a constant are no symbols.
    return array.astype(np.int64) if array.dtype == object else array
