"""Products of two activations: attention, whose heads leave whole."""

from __future__ import annotations

import torch
from torch.fx import Node

from pocketfit.compress.prune.coupling import FIXED, compact, varying_axes
from pocketfit.compress.prune.rules.elementwise import united
from pocketfit.compress.prune.trace import Rule, Trace

__all__ = ["PRODUCTS"]

aten = torch.ops.aten


def matmul(trace: Trace, node: Node) -> torch.Tensor:
    """Matrices that belong to a head leave with it; else columns of the second operand, or rows of the first."""
    first, second = trace.value(node.args[:2])
    shape = trace.shape(node)
    if min(first.dim(), second.dim()) < 2:
        return _fixed(trace, [first, second], shape)
    if any(axis < labels.dim() - 2 for labels in (first, second) for axis in varying_axes(labels)):
        heads = united(trace, [_head(trace, first), _head(trace, second)], (*shape[:-2], 1, 1))
        return heads.expand(shape)
    return _single(trace, first, second, shape)


def attention(trace: Trace, node: Node) -> torch.Tensor:
    """Query, key and value of a head leave together; a mask that all heads share stays."""
    operands = [_head(trace, trace.value(one)) for one in node.args[:3]]
    if len(node.args) > 3 and isinstance(node.args[3], Node):
        trace.coupling.fix(trace.value(node.args[3]))
    shape = trace.shape(node)
    return united(trace, operands, (*shape[:-2], 1, 1)).expand(shape)


def _head(trace: Trace, labels: torch.Tensor) -> torch.Tensor:
    """One label for each matrix."""
    labels = compact(labels)
    trace.coupling.unite(labels, labels[..., :1, :1])
    return labels[..., :1, :1]


def _single(trace: Trace, first: torch.Tensor, second: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """What is summed over stays whole: a shorter sum is no masked one unless its terms are zero."""
    trace.keep_whole(first, -1)
    trace.keep_whole(second, -2)
    rows, columns = first[..., :, :1], second[..., :1, :]
    if varying_axes(rows) and varying_axes(columns):
        return _fixed(trace, [first, second], shape)
    return rows.expand(shape) if varying_axes(rows) else columns.expand(shape)


def _fixed(trace: Trace, operands: list[torch.Tensor], shape: tuple[int, ...]) -> torch.Tensor:
    for labels in operands:
        trace.coupling.fix(labels)
    return torch.tensor(FIXED).expand(shape)


PRODUCTS: dict[object, Rule] = {
    aten.matmul.default: matmul,
    aten.bmm.default: matmul,
    aten.mm.default: matmul,
    aten.scaled_dot_product_attention.default: attention,
}
