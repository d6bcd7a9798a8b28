"""One operator of TorchScript: of torch where it takes tensors, of Python where it computes with sizes and lists."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pocketfit.errors import ModelError

__all__ = ["call_operator"]


def call_operator(node: Any, inputs: Sequence[Any]) -> Any:
    """Compute what a node of the kind `aten::...` does.

    Args:
        node: of the graph.
        inputs: in the order of the operator's schema; sizes are integers or symbols even where the file has tensors.

    Raises:
        ModelError: torch has no such operator.
    """
    name = node.kind().removeprefix("aten::")
    if name in _STRUCTURE:
        return _STRUCTURE[name](*inputs)
    if name in _NUMBERS and not any(isinstance(value, Tensor) for value in inputs):
        return _NUMBERS[name](*inputs)
    return _of_torch(node, name, inputs)


def _of_torch(node: Any, name: str, inputs: Sequence[Any]) -> Any:
    overload = re.match(r"aten::\w+\.?(\w*)\(", str(node.schema()))
    packet = getattr(torch.ops.aten, name, None)
    if overload is None or packet is None:
        raise ModelError(f"aten::{name} is no operator of this release of torch. Save the model again.")
    function = getattr(packet, overload.group(1) or "default")
    positional, named = [], {}
    for argument, value in zip(function._schema.arguments, inputs, strict=True):
        given = _argument(name, argument, value)
        if argument.kwarg_only:
            named[argument.name] = given
        else:
            positional.append(given)
    return function(*positional, **named)


def _argument(name: str, argument: Any, value: Any) -> Any:
    """Everything is computed on the CPU, and what was a tensor in the file is one where nothing else is allowed."""
    if argument.name == "device" and value is not None:
        return torch.device("cpu")
    if str(argument.type) == "Tensor" and not isinstance(value, Tensor) and name.rstrip("_") not in _NUMBERS:
        return torch.tensor(value)
    return value


def _convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    output_padding: list[int],
    groups: int,
    *_: Any,
) -> Tensor:
    """What tracing makes of every convolution, as the one that it was."""
    axes = weight.dim() - 2
    if transposed:
        turned: Callable[..., Tensor] = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[axes - 1]
        return turned(x, weight, bias, stride, padding, output_padding, groups, dilation)
    plain: Callable[..., Tensor] = (F.conv1d, F.conv2d, F.conv3d)[axes - 1]
    return plain(x, weight, bias, stride, padding, dilation, groups)


def _size(x: Tensor, axis: int | None = None) -> Any:
    return list(x.shape) if axis is None else x.shape[axis]


def _integer(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.item()
    return value if isinstance(value, int | torch.SymInt) else math.trunc(float(value))


def _sum(a: Any, b: Any, alpha: Any = 1) -> Any:
    return a + b if alpha == 1 else a + alpha * b


def _quotient(a: Any, b: Any, rounding_mode: str | None = None) -> Any:
    if rounding_mode is None:
        return a / b
    return a // b if rounding_mode == "floor" else math.trunc(a / b)


def _appended(values: list[Any], value: Any) -> list[Any]:
    values.append(value)
    return values


def _set_item(values: Any, index: Any, value: Any) -> None:
    values[index] = value


def _item(values: Any, index: Any) -> Any:
    return values[index]


def _slice(values: Any, start: int | None = None, end: int | None = None, step: int = 1) -> Any:
    return values[start:end:step]


# Operators that take tensors apart, or put them into lists: Python does it while the graph is made.
_STRUCTURE: Mapping[str, Callable[..., Any]] = {
    "_convolution": _convolution,
    "size": _size,
    "sym_size": _size,
    "dim": lambda x: x.dim(),
    "numel": lambda x: x.numel(),
    "len": len,
    "is_floating_point": lambda x: x.is_floating_point(),
    "Int": _integer,
    "IntImplicit": _integer,
    "ScalarImplicit": lambda value: value.item() if isinstance(value, Tensor) else value,
    "FloatImplicit": lambda value: value.item() if isinstance(value, Tensor) else value,
    "Float": lambda value: float(value),
    "Bool": lambda value: value if isinstance(value, Tensor) else bool(value),
    "append": _appended,
    "__getitem__": _item,
    "_set_item": _set_item,
    "__contains__": lambda values, value: value in values,
    "__is__": operator.is_,
    "__isnot__": operator.is_not,
    "__not__": operator.not_,
    "list": list,
    "keys": lambda values: list(values.keys()),
    "values": lambda values: list(values.values()),
    "items": lambda values: list(values.items()),
    "__range_length": lambda low, high, step: len(range(low, high, step)),
    "__derive_index": lambda index, start, step: start + index * step,
    "str": str,
    "format": lambda text, *values: text.format(*values),
    "warn": lambda *_: None,
}

# On numbers and lists; with a tensor among them they are torch's.
_NUMBERS: Mapping[str, Callable[..., Any]] = {
    "add": _sum,
    "sub": lambda a, b, alpha=1: a - b if alpha == 1 else a - alpha * b,
    "rsub": lambda a, b, alpha=1: b - a if alpha == 1 else b - alpha * a,
    "mul": operator.mul,
    "div": _quotient,
    "true_divide": operator.truediv,
    "floordiv": operator.floordiv,
    "floor_divide": operator.floordiv,
    "remainder": operator.mod,
    "pow": operator.pow,
    "neg": operator.neg,
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "__and__": operator.and_,
    "__or__": operator.or_,
    "sqrt": math.sqrt,
    "floor": math.floor,
    "ceil": math.ceil,
    "round": round,
    "slice": _slice,
    "to": lambda value, *_: value,
    "detach": lambda value: value,
    "copy": lambda values: values.copy(),
}
