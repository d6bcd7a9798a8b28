"""Operators that pick elements out of a tensor, or put some in."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pocketfit.models.onnx_ops.call import Call, Numbers, Operator, Value, plain

__all__ = ["TABLE"]


def _slice(call: Call) -> Value:
    x = call.tensor(0)
    starts, ends = call.integers(1, "starts") or [], call.integers(2, "ends") or []
    axes = call.integers(3, "axes") or list(range(len(starts)))
    steps = call.integers(4) or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        x = _cut(x, axis % x.dim(), start, end, step)
    return x


def _cut(x: Tensor, axis: int, start: int, end: int, step: int) -> Tensor:
    if step < 0:
        # torch does not walk backwards: turn the axis round and walk forwards.
        places = range(*slice(start, end, step).indices(x.shape[axis]))
        first = x.shape[axis] - 1 - places.start
        return _cut(x.flip(axis), axis, first, first + (len(places) - 1) * -step + 1, -step)
    index = [slice(None)] * axis + [slice(start, end, step)]
    return x[tuple(index)]


def _gather(call: Call) -> Value:
    x, axis = call.tensor(0), call.get("axis", 0)
    axis = axis % x.dim()
    if call.is_known(1):
        return _gather_known(call, x, axis, call.numbers(1))
    indices = call.tensor(1)
    if axis == 0 and x.dim() == 2:
        return F.embedding(_upwards(indices, x.shape[0]), x)
    picked = x.index_select(axis, _upwards(indices, x.shape[axis]).flatten())
    return picked.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


def _gather_known(call: Call, x: Tensor, axis: int, indices: Numbers) -> Tensor:
    if indices.ndim == 0:
        return x.select(axis, plain(indices[()]))
    if _is_range(indices):
        start = plain(indices[0])
        return x.narrow(axis, start if start >= 0 else start + x.shape[axis], len(indices))
    picked = x.index_select(axis, _upwards(call.tensor(1), x.shape[axis]).flatten())
    return picked if indices.ndim == 1 else picked.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


def _is_range(indices: Numbers) -> bool:
    if indices.ndim != 1 or not len(indices):
        return False
    # From a negative number up to zero the axis starts again.
    return bool(np.all(np.diff(indices) == 1)) and (indices[0] >= 0 or indices[-1] < 0)


def _upwards(indices: Tensor, size: int) -> Tensor:
    """Negative indices count from the end; torch counts from the beginning only."""
    return torch.where(indices < 0, indices + size, indices).long()


def _gather_elements(call: Call) -> Value:
    x, axis = call.tensor(0), call.get("axis", 0)
    return torch.gather(x, axis, _upwards(call.tensor(1), x.shape[axis]))


def _gather_nd(call: Call) -> Value:
    x, indices, batches = call.tensor(0), call.tensor(1).long(), call.get("batch_dims", 0)
    places = list(indices.unbind(-1))
    for axis in range(batches):
        sizes = [1] * places[-1].dim()
        sizes[axis] = x.shape[axis]
        places.insert(axis, torch.arange(x.shape[axis]).reshape(sizes))
    return x[tuple(places)]


_REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


def _scatter_elements(call: Call) -> Value:
    x, axis, updates = call.tensor(0), call.get("axis", 0), call.tensor(2)
    indices, reduction = _upwards(call.tensor(1), x.shape[axis]), call.get("reduction", "none")
    if reduction == "none":
        return x.scatter(axis, indices, updates)
    return x.scatter_reduce(axis, indices, updates, _REDUCTIONS[reduction])


def _scatter_nd(call: Call) -> Value:
    x, reduction = call.tensor(0), call.get("reduction", "none")
    if reduction not in ("none", "add"):
        call.refuse(f"the reduction {reduction!r} is not supported.", "Allowed are none and add.")
    return x.index_put(call.tensor(1).long().unbind(-1), call.tensor(2), accumulate=reduction == "add")


def _triangle(call: Call) -> Value:
    diagonal = int(call.number(1, "", 0))
    return (torch.triu if call.get("upper", 1) else torch.tril)(call.tensor(0), diagonal)


def _one_hot(call: Call) -> Value:
    depth, values = int(call.number(1, "", 0)), call.numbers(2)
    axis = call.get("axis", -1)
    hot = F.one_hot(_upwards(call.tensor(0), depth), depth)
    off, on = (plain(value) for value in values)
    filled: Tensor = hot * (on - off) + off
    return filled.movedim(-1, axis)


def _grid_sample(call: Call) -> Value:
    modes = {"linear": "bilinear", "cubic": "bicubic"}
    mode = call.get("mode", "linear")
    return F.grid_sample(
        call.tensor(0),
        call.tensor(1),
        modes.get(mode, mode),
        call.get("padding_mode", "zeros"),
        bool(call.get("align_corners", 0)),
    )


TABLE: Mapping[str, Operator] = {
    "Slice": _slice,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "ScatterElements": _scatter_elements,
    "Scatter": _scatter_elements,
    "ScatterND": _scatter_nd,
    "Trilu": _triangle,
    "OneHot": _one_hot,
    "GridSample": _grid_sample,
}
