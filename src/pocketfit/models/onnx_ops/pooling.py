"""Pools."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pocketfit.models.onnx_ops.call import Call, Operator, Value
from pocketfit.models.onnx_ops.windows import Window, pad_spatial

__all__ = ["TABLE"]

_MAXIMA: Mapping[int, Any] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_MEANS: Mapping[int, Any] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def _max_pool(call: Call) -> Value:
    call.only_first_output()
    x = call.tensor(0)
    window = Window.of(call, call.get("kernel_shape"), x.shape[2:])
    ceil = _rounding(call, window, x.shape[2:])
    pool = _function(call, _MAXIMA, x)
    if ceil is None:
        after = _needed(call, window, x.shape[2:])
        x = pad_spatial(x, window.before, after, -math.inf)
    padding = window.before if ceil is not None else (0,) * len(window.kernel)
    result: Tensor = pool(x, window.kernel, window.stride, padding, window.dilation, bool(ceil))
    return result


def _average_pool(call: Call) -> Value:
    x = call.tensor(0)
    window = Window.of(call, call.get("kernel_shape"), x.shape[2:])
    if any(step != 1 for step in window.dilation):
        call.refuse("torch has no dilated average.", "Export the model with dilations of 1.")
    return _mean_of_windows(call, x, window, bool(call.get("count_include_pad", 0)))


def _mean_of_windows(call: Call, x: Tensor, window: Window, counts_padding: bool) -> Tensor:
    pool = _function(call, _MEANS, x)
    ceil = _rounding(call, window, x.shape[2:])
    if ceil is not None and (window.is_symmetric or not counts_padding):
        result: Tensor = pool(x, window.kernel, window.stride, window.before, bool(ceil), counts_padding)
        return result
    return _mean_of_padded(call, x, window, counts_padding)


def _mean_of_padded(call: Call, x: Tensor, window: Window, counts_padding: bool) -> Tensor:
    """Where torch cannot pad so: sums over zeros, divided by how many elements count."""
    pool, after = _function(call, _MEANS, x), _needed(call, window, x.shape[2:])
    ones = torch.ones((1, 1, *x.shape[2:]), dtype=x.dtype)
    counted = pad_spatial(ones, window.before, window.after, 1.0) if counts_padding else ones
    left = [size - given if counts_padding else size for size, given in zip(after, window.after, strict=True)]
    before = (0,) * len(left) if counts_padding else window.before
    share = pool(pad_spatial(counted, before, left), window.kernel, window.stride)
    result: Tensor = pool(pad_spatial(x, window.before, after), window.kernel, window.stride) / share
    return result


def _lp_pool(call: Call) -> Value:
    """The mean of the powers, times their number, is their sum."""
    x, power = call.tensor(0), call.get("p", 2)
    window = Window.of(call, call.get("kernel_shape"), x.shape[2:])
    if any(step != 1 for step in window.dilation) or call.get("ceil_mode", 0):
        call.refuse("torch has no dilated or rounded-up norm.", "Export the model without dilations and ceil_mode.")
    padded = pad_spatial(x.abs() ** power, window.before, window.after)
    mean = _function(call, _MEANS, x)(padded, window.kernel, window.stride)
    result: Tensor = (mean * math.prod(window.kernel)) ** (1.0 / power)
    return result


def _rounding(call: Call, window: Window, sizes: Sequence[int]) -> bool | None:
    """Whether to round up, when padding both ends like the beginning gives all windows; None where it does not.

    A window that hangs over the end sees the same elements whether the rest of it is padding or nothing.
    """
    if any(2 * pad > width for pad, width in zip(window.before, window.kernel, strict=True)):
        return None
    wanted = _counts(window, sizes, window.after, bool(call.get("ceil_mode", 0)))
    for ceil in (False, True):
        if _counts(window, sizes, window.before, ceil) == wanted:
            return ceil
    return None


def _counts(window: Window, sizes: Sequence[int], after: Sequence[int], ceil: bool) -> list[int]:
    """How many windows fit; rounded up, one may hang over the end, but not begin behind the input."""
    counts = []
    for size, span, step, first, last in zip(sizes, window.span, window.stride, window.before, after, strict=True):
        room = size + first + last - span
        count = (-(-room // step) if ceil else room // step) + 1
        counts.append(count - 1 if ceil and (count - 1) * step >= size + first else count)
    return counts


def _needed(call: Call, window: Window, sizes: Sequence[int]) -> list[int]:
    """Padding at the end with which all windows lie inside."""
    wanted = _counts(window, sizes, window.after, bool(call.get("ceil_mode", 0)))
    parts = zip(wanted, window.stride, window.span, sizes, window.before, window.after, strict=True)
    return [max((n - 1) * step + span - size - first, last) for n, step, span, size, first, last in parts]


def _global_mean(call: Call) -> Value:
    x = call.tensor(0)
    return x.mean(tuple(range(2, x.dim())), keepdim=True)


def _global_max(call: Call) -> Value:
    x = call.tensor(0)
    return x.amax(tuple(range(2, x.dim())), keepdim=True)


def _global_norm(call: Call) -> Value:
    x, power = call.tensor(0), call.get("p", 2)
    total = (x.abs() ** power).sum(tuple(range(2, x.dim())), keepdim=True)
    return torch.pow(total, 1.0 / power)


def _function(call: Call, functions: Mapping[int, Any], x: Tensor) -> Any:
    rank = x.dim() - 2
    if rank not in functions:
        call.refuse(f"{rank} spatial axes are too many.", "Allowed are 1, 2 and 3.")
    return functions[rank]


TABLE: Mapping[str, Operator] = {
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "LpPool": _lp_pool,
    "GlobalAveragePool": _global_mean,
    "GlobalMaxPool": _global_max,
    "GlobalLpPool": _global_norm,
}
