"""The same operators on sizes: Python computes them while the graph is made, and nothing of them is left in it.

What a model does to a shape before it reshapes by it: pick sizes, join them, multiply, compare. A size may be a symbol
of torch, which stands for any batch.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from pocketfit.models.onnx_ops.call import Call, Constant, Numbers, Operator, Value, plain
from pocketfit.models.onnx_ops.dtypes import numpy_dtype

__all__ = ["operator_on_sizes"]


def operator_on_sizes(op: str, values: Sequence[Value | None]) -> Operator | None:
    """The function for a call of which no input depends on the values of the image; None where it is for tensors.

    Args:
        op: operator.
        values: its inputs.
    """
    if any(isinstance(value, Tensor) for value in values):
        return None
    # A weight that is moved by a size, such as a class token that is there for every image, stays a weight.
    moved = op in _MOVES and isinstance(values[0], Constant)
    return None if moved else TABLE.get(op)


def _elementwise(function: Callable[..., Any]) -> Operator:
    """Element by element in Python, because numpy's own functions do not know torch's symbols."""

    def apply(call: Call) -> Value:
        return _mapped(function, *(call.numbers(index).astype(object) for index in range(len(call.values))))

    return apply


def _mapped(function: Callable[..., Any], *arrays: Numbers) -> Numbers:
    inputs = np.broadcast_arrays(*arrays)
    result = np.empty(inputs[0].shape, dtype=object)
    for place in np.ndindex(result.shape):
        result[place] = function(*(plain(array[place]) for array in inputs))
    return _narrowed(result)


def _narrowed(numbers: Numbers) -> Numbers:
    """Without symbols it is an ordinary array again, of integers, booleans or floats."""
    kinds = {type(number) for number in numbers.reshape(-1)}
    for kind, dtype in ((bool, np.bool_), (int, np.int64), (float, np.float32)):
        if kinds == {kind}:
            return numbers.astype(dtype)
    return numbers


def _divide(left: Any, right: Any) -> Any:
    """Sizes are positive: towards zero is downwards."""
    return left / right if isinstance(left, float) or isinstance(right, float) else left // right


def _cast(call: Call) -> Value:
    numbers, dtype = call.numbers(0), numpy_dtype(call, call.get("to"))
    if numbers.dtype == object and np.issubdtype(dtype, np.integer):
        return numbers
    return numbers.astype(dtype)


def _gather(call: Call) -> Value:
    # Through an index array, because one element alone would be a symbol, which numpy asks for its number.
    numbers, indices = call.numbers(0), call.numbers(1).astype(np.int64)
    axis = call.get("axis", 0) % numbers.ndim
    picked = np.take(numbers, indices.reshape(-1), axis)
    return picked.reshape((*numbers.shape[:axis], *indices.shape, *numbers.shape[axis + 1 :]))


def _slice(call: Call) -> Value:
    numbers = call.numbers(0)
    starts, ends = call.integers(1, "starts") or [], call.integers(2, "ends") or []
    axes = call.integers(3, "axes") or list(range(len(starts)))
    steps = call.integers(4) or [1] * len(starts)
    index = [slice(None)] * numbers.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        index[axis] = slice(start, end, step)
    return numbers[tuple(index)]


def _concat(call: Call) -> Value:
    return np.concatenate([call.numbers(index) for index in range(len(call.values))], axis=call.get("axis", 0))


def _squeeze(call: Call) -> Value:
    axes = call.integers(1, "axes")
    return call.numbers(0).squeeze(None if axes is None else tuple(axes))


def _unsqueeze(call: Call) -> Value:
    return np.expand_dims(call.numbers(0), tuple(call.integers(1, "axes") or ()))


def _reshape(call: Call) -> Value:
    return call.numbers(0).reshape(call.integers(1, "shape") or [])


def _clip(call: Call) -> Value:
    low, high = call.number(1, "min", -math.inf), call.number(2, "max", math.inf)
    return _mapped(lambda number: max(low, min(high, number)), call.numbers(0).astype(object))


def _transpose(call: Call) -> Value:
    return call.numbers(0).transpose(call.get("perm"))


def _tile(call: Call) -> Value:
    return np.tile(call.numbers(0), call.integers(1) or [])


def _expand(call: Call) -> Value:
    numbers, shape = call.numbers(0), call.integers(1) or []
    return np.broadcast_to(numbers, np.broadcast_shapes(numbers.shape, tuple(shape)))


def _split(call: Call) -> tuple[Value, ...]:
    numbers, axis, sizes = call.numbers(0), call.get("axis", 0), call.integers(1, "split")
    places = np.cumsum(sizes)[:-1] if sizes else call.get("num_outputs", len(call.node.outputs))
    return tuple(np.array_split(numbers, places, axis=axis))


def _reduction(function: Callable[[Any, Any], Any]) -> Operator:
    def apply(call: Call) -> Value:
        result = np.empty((1,) if call.get("keepdims", 1) else (), dtype=object)
        result[...] = functools.reduce(function, (plain(number) for number in call.numbers(0).reshape(-1)))
        return result

    return apply


def _identity(call: Call) -> Value:
    return call.value(0)


_MOVES = frozenset({"Expand", "Gather", "Reshape", "Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"})

TABLE: Mapping[str, Operator] = {
    "Add": _elementwise(operator.add),
    "Sub": _elementwise(operator.sub),
    "Mul": _elementwise(operator.mul),
    "Div": _elementwise(_divide),
    "Mod": _elementwise(operator.mod),
    "Pow": _elementwise(operator.pow),
    "Max": _elementwise(max),
    "Min": _elementwise(min),
    "Neg": _elementwise(operator.neg),
    "Abs": _elementwise(abs),
    "Sqrt": _elementwise(math.sqrt),
    "Floor": _elementwise(lambda number: float(math.floor(number))),
    "Ceil": _elementwise(lambda number: float(math.ceil(number))),
    "Equal": _elementwise(operator.eq),
    "Greater": _elementwise(operator.gt),
    "Less": _elementwise(operator.lt),
    "GreaterOrEqual": _elementwise(operator.ge),
    "LessOrEqual": _elementwise(operator.le),
    "And": _elementwise(lambda one, other: one and other),
    "Or": _elementwise(lambda one, other: one or other),
    "Not": _elementwise(operator.not_),
    "Where": _elementwise(lambda condition, yes, no: yes if condition else no),
    "Clip": _clip,
    "Cast": _cast,
    "Gather": _gather,
    "Slice": _slice,
    "Concat": _concat,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Reshape": _reshape,
    "Expand": _expand,
    "Transpose": _transpose,
    "Tile": _tile,
    "Split": _split,
    "ReduceProd": _reduction(operator.mul),
    "ReduceSum": _reduction(operator.add),
    "ReduceMax": _reduction(max),
    "ReduceMin": _reduction(min),
    "Identity": _identity,
}
