"""Reductions, and the largest of many."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from pocketfit.models.onnx_ops.call import Call, Operator, Value

__all__ = ["TABLE"]

Reduce = Callable[[Tensor, tuple[int, ...], bool], Tensor]


def _reduction(reduce: Reduce) -> Operator:
    def apply(call: Call) -> Value:
        x, axes = call.tensor(0), call.integers(1, "axes")
        if not axes and call.get("noop_with_empty_axes", 0):
            return reduce(x, (), True)
        return reduce(x, tuple(axes or range(x.dim())), bool(call.get("keepdims", 1)))

    return apply


def _mean(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return x.mean(axes, keepdim=keep) if axes else x


def _sum(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return x.sum(axes, keepdim=keep, dtype=x.dtype) if axes else x


def _largest(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return x.amax(axes, keepdim=keep) if axes else x


def _smallest(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return x.amin(axes, keepdim=keep) if axes else x


def _product(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    for axis in sorted((axis % x.dim() for axis in axes), reverse=True):
        x = torch.prod(x, axis, keepdim=keep, dtype=x.dtype)
    return x


def _log_sum_exp(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return torch.logsumexp(x, axes, keepdim=keep) if axes else x


def _extreme(function: Callable[..., Tensor]) -> Operator:
    def apply(call: Call) -> Value:
        x, axis, keep = call.tensor(0), call.get("axis", 0), bool(call.get("keepdims", 1))
        if not call.get("select_last_index", 0):
            return function(x, axis, keepdim=keep)
        last: Tensor = x.shape[axis] - 1 - function(x.flip(axis), axis, keepdim=keep)
        return last

    return apply


def _top_k(call: Call) -> tuple[Value, ...]:
    count = call.number(1, "k", None)
    largest, is_sorted = bool(call.get("largest", 1)), bool(call.get("sorted", 1))
    values, indices = torch.topk(call.tensor(0), int(count), call.get("axis", -1), largest, is_sorted)
    return values, indices


TABLE: Mapping[str, Operator] = {
    "ReduceMean": _reduction(_mean),
    "ReduceSum": _reduction(_sum),
    "ReduceMax": _reduction(_largest),
    "ReduceMin": _reduction(_smallest),
    "ReduceProd": _reduction(_product),
    "ReduceL1": _reduction(lambda x, axes, keep: _sum(x.abs(), axes, keep)),
    "ReduceL2": _reduction(lambda x, axes, keep: _sum(x.square(), axes, keep).sqrt()),
    "ReduceLogSum": _reduction(lambda x, axes, keep: _sum(x, axes, keep).log()),
    "ReduceLogSumExp": _reduction(_log_sum_exp),
    "ReduceSumSquare": _reduction(lambda x, axes, keep: _sum(x.square(), axes, keep)),
    "ArgMax": _extreme(torch.argmax),
    "ArgMin": _extreme(torch.argmin),
    "TopK": _top_k,
}
