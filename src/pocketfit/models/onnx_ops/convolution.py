"""Convolutions and transposed convolutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from pocketfit.models.onnx_ops.call import Call, Operator, Value
from pocketfit.models.onnx_ops.windows import Window, pad_spatial

__all__ = ["TABLE"]

_CONVOLUTIONS: Mapping[int, Any] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED: Mapping[int, Any] = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def _convolution(call: Call) -> Value:
    x, weight, bias = call.tensor(0), call.tensor(1), call.optional(2)
    convolve = _function(call, _CONVOLUTIONS, x)
    window = Window.of(call, weight.shape[2:], x.shape[2:])
    padding = window.before
    if not window.is_symmetric:
        x, padding = pad_spatial(x, window.before, window.after), (0,) * len(padding)
    result: Tensor = convolve(x, weight, bias, window.stride, padding, window.dilation, call.get("group", 1))
    return result


def _transposed(call: Call) -> Value:
    x, weight, bias = call.tensor(0), call.tensor(1), call.optional(2)
    convolve = _function(call, _TRANSPOSED, x)
    window = Window.of(call, weight.shape[2:], x.shape[2:])
    extra = tuple(call.get("output_padding", (0,) * len(window.kernel)))
    before, after = _cropped(call, window, x.shape[2:], extra)
    # What both ends lose, torch leaves out; what only one end loses is cut off.
    common = [max(min(pair), 0) for pair in zip(before, after, strict=True)]
    result: Tensor = convolve(x, weight, bias, window.stride, common, extra, call.get("group", 1), window.dilation)
    return _crop(
        result,
        [a - c for a, c in zip(before, common, strict=True)],
        [b - c for b, c in zip(after, common, strict=True)],
    )


def _cropped(call: Call, window: Window, sizes: Sequence[int], extra: Sequence[int]) -> tuple[list[int], list[int]]:
    """What the full result loses at each end; less than nothing where it grows."""
    automatic = call.get("auto_pad", "NOTSET")
    wanted = call.get("output_shape")
    if wanted is None and not automatic.startswith("SAME"):
        return list(window.before), list(window.after)
    wanted = wanted or [size * step for size, step in zip(sizes, window.stride, strict=True)]
    full = [
        step * (size - 1) + more + span
        for size, step, more, span in zip(sizes, window.stride, extra, window.span, strict=True)
    ]
    totals = [size - target for size, target in zip(full, wanted[-len(full) :], strict=True)]
    less, more_ = [total // 2 for total in totals], [total - total // 2 for total in totals]
    return (less, more_) if automatic == "SAME_UPPER" else (more_, less)


def _crop(x: Tensor, before: Sequence[int], after: Sequence[int]) -> Tensor:
    if any(size < 0 for size in (*before, *after)):
        x = pad_spatial(x, [max(-size, 0) for size in before], [max(-size, 0) for size in after])
    for axis, (first, last) in enumerate(zip(before, after, strict=True), start=2):
        start, length = max(first, 0), x.shape[axis] - max(first, 0) - max(last, 0)
        x = x if length == x.shape[axis] else x.narrow(axis, start, length)
    return x


def _function(call: Call, functions: Mapping[int, Any], x: Tensor) -> Any:
    rank = x.dim() - 2
    if rank not in functions:
        call.refuse(f"{rank} spatial axes are too many.", "Allowed are 1, 2 and 3.")
    return functions[rank]


TABLE: Mapping[str, Operator] = {"Conv": _convolution, "ConvTranspose": _transposed}
