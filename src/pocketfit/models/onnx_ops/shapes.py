"""Constants, and shapes as numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from pocketfit.models.onnx_ops.call import Call, Numbers, Operator, Value, plain
from pocketfit.models.onnx_ops.dtypes import torch_dtype

__all__ = ["TABLE", "as_numbers"]

# A filled tensor of up to so many elements is more likely a shape than a feature map.
_FEW = 16


def as_numbers(sizes: Sequence[Any]) -> Numbers:
    """A list of sizes; numpy must not look into torch's symbols."""
    numbers = np.empty(len(sizes), dtype=object)
    numbers[:] = [plain(size) for size in sizes]
    return numbers


def _constant(call: Call) -> Value:
    (value,) = call.node.attributes.values()
    if not isinstance(value, np.ndarray | int | float | list | tuple):
        call.refuse(f"a constant of type {type(value).__name__} is not supported.", "Allowed are dense numbers.")
    array = np.asarray(value)
    narrow = {"f": np.float32, "i": np.int64}.get(array.dtype.kind)
    return array if isinstance(value, np.ndarray) or narrow is None else array.astype(narrow)


def _shape(call: Call) -> Value:
    sizes = as_numbers(_sizes(call))
    return sizes[call.get("start", 0) : call.get("end")]


def _size(call: Call) -> Value:
    numbers = np.empty((), dtype=object)
    numbers[()] = math.prod(_sizes(call))
    return numbers


def _sizes(call: Call) -> Sequence[Any]:
    return call.numbers(0).shape if call.is_known(0) else call.tensor(0).shape


def _filled(call: Call) -> Value:
    sizes = call.integers(0) or []
    value = call.get("value", np.zeros(1, dtype=np.float32)).reshape(-1)[0]
    if np.issubdtype(value.dtype, np.integer) and all(isinstance(s, int) for s in sizes) and math.prod(sizes) <= _FEW:
        return np.full(sizes, value)
    return torch.full(sizes, plain(value), dtype=torch.from_numpy(np.asarray(value)).dtype)


def _range(call: Call) -> Value:
    start, limit, step = (call.number(index, "", None) for index in range(3))
    if all(isinstance(number, int) for number in (start, limit, step)):
        return np.arange(start, limit, step)
    return torch.arange(start, limit, step, dtype=torch.float32 if isinstance(start, float) else torch.int64)


def _eye(call: Call) -> Value:
    x, dtype = call.tensor(0), call.get("dtype")
    rows, columns = x.shape
    ones = torch.ones(rows, columns, dtype=x.dtype if dtype is None else torch_dtype(call, dtype))
    offset = call.get("k", 0)
    return ones.triu(offset).tril(offset)


TABLE: Mapping[str, Operator] = {
    "Constant": _constant,
    "Shape": _shape,
    "Size": _size,
    "ConstantOfShape": _filled,
    "Range": _range,
    "EyeLike": _eye,
}
