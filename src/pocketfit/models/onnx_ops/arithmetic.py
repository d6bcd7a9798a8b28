"""Operators that compute element by element."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from pocketfit.models.onnx_ops.call import Call, Operator, Value, plain
from pocketfit.models.onnx_ops.dtypes import torch_dtype

__all__ = ["TABLE"]

Two = Callable[[Any, Any], Tensor]


def _unary(function: Callable[[Tensor], Tensor]) -> Operator:
    return lambda call: function(call.tensor(0))


def _binary(function: Two) -> Operator:
    def apply(call: Call) -> Value:
        return function(*_pair(call))

    return apply


def _comparison(function: Two) -> Operator:
    return lambda call: function(call.tensor(0), call.tensor(1))


def _pair(call: Call) -> tuple[Tensor | float, Tensor | float]:
    """Both operands; one may be a plain number where it does not decide the shape of the result."""
    left, right = call.operand(0), call.operand(1)
    if isinstance(left, Tensor) and not isinstance(right, Tensor):
        return left, (right if _rank(call, 1) <= left.dim() else call.tensor(1))
    if isinstance(right, Tensor) and not isinstance(left, Tensor):
        return (left if _rank(call, 0) <= right.dim() else call.tensor(0)), right
    return call.tensor(0), call.tensor(1)


def _rank(call: Call, index: int) -> int:
    return call.numbers(index).ndim


def _variadic(function: Two) -> Operator:
    def apply(call: Call) -> Value:
        return functools.reduce(function, call.tensors())

    return apply


def _mean(call: Call) -> Value:
    tensors = call.tensors()
    return functools.reduce(torch.add, tensors) / len(tensors)


def _subtract(left: Any, right: Any) -> Tensor:
    return left - right  # type: ignore[no-any-return]


def _divide(left: Any, right: Any) -> Tensor:
    """Integers are divided towards zero."""
    integers = all(not isinstance(x, float) and not getattr(x, "is_floating_point", bool)() for x in (left, right))
    if integers:
        return torch.div(left, right, rounding_mode="trunc")
    return left / right  # type: ignore[no-any-return]


def _modulo(call: Call) -> Value:
    left, right = call.tensor(0), call.tensor(1)
    return torch.fmod(left, right) if call.get("fmod", 0) else torch.remainder(left, right)


def _power(call: Call) -> Value:
    base, exponent = _pair(call)
    if isinstance(base, Tensor):
        return torch.pow(base, exponent).to(base.dtype)
    return torch.pow(call.tensor(0), exponent)


def _clip(call: Call) -> Value:
    low, high = call.number(1, "min", None), call.number(2, "max", None)
    x = call.tensor(0)
    if low == 0 and high == 6:
        return torch.nn.functional.relu6(x)
    return x if low is None and high is None else torch.clamp(x, low, high)


def _where(call: Call) -> Value:
    condition = call.tensor(0)
    return torch.where(condition, call.tensor(1), call.tensor(2))


def _cast(call: Call) -> Value:
    return call.tensor(0).to(torch_dtype(call, call.get("to")))


def _cast_like(call: Call) -> Value:
    return call.tensor(0).to(call.tensor(1).dtype)


def _is_infinite(call: Call) -> Value:
    x = call.tensor(0)
    upwards, downwards = call.get("detect_positive", 1), call.get("detect_negative", 1)
    if upwards and downwards:
        return torch.isinf(x)
    return x == (torch.inf if upwards else -torch.inf if downwards else torch.nan)


def _shift(call: Call) -> Value:
    left, right = call.tensor(0), call.tensor(1)
    return left << right if call.get("direction") == "LEFT" else left >> right


def _cumulate(call: Call) -> Value:
    x, axis = call.tensor(0), plain(call.numbers(1).reshape(-1)[0])
    flip = bool(call.get("reverse", 0))
    x = x.flip(axis) if flip else x
    total = torch.cumsum(x, axis)
    total = total - x if call.get("exclusive", 0) else total
    return total.flip(axis) if flip else total


_COMPARISONS: Mapping[str, Two] = {
    "Equal": torch.eq,
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
    "And": torch.logical_and,
    "Or": torch.logical_or,
    "Xor": torch.logical_xor,
}

_FUNCTIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "Abs": torch.abs,
    "Acos": torch.acos,
    "Acosh": torch.acosh,
    "Asin": torch.asin,
    "Asinh": torch.asinh,
    "Atan": torch.atan,
    "Atanh": torch.atanh,
    "Ceil": torch.ceil,
    "Cos": torch.cos,
    "Cosh": torch.cosh,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "IsNaN": torch.isnan,
    "Log": torch.log,
    "Neg": torch.neg,
    "Not": torch.logical_not,
    "Reciprocal": torch.reciprocal,
    "Round": torch.round,
    "Sign": torch.sign,
    "Sin": torch.sin,
    "Sinh": torch.sinh,
    "Sqrt": torch.sqrt,
    "Tan": torch.tan,
}

TABLE: Mapping[str, Operator] = {
    **{name: _unary(function) for name, function in _FUNCTIONS.items()},
    **{name: _comparison(function) for name, function in _COMPARISONS.items()},
    "Add": _binary(lambda left, right: left + right),
    "Sub": _binary(_subtract),
    "Mul": _binary(lambda left, right: left * right),
    "Div": _binary(_divide),
    "Mod": _modulo,
    "Pow": _power,
    "Sum": _variadic(torch.add),
    "Max": _variadic(torch.maximum),
    "Min": _variadic(torch.minimum),
    "Mean": _mean,
    "Clip": _clip,
    "Where": _where,
    "Cast": _cast,
    "CastLike": _cast_like,
    "IsInf": _is_infinite,
    "BitShift": _shift,
    "CumSum": _cumulate,
}
