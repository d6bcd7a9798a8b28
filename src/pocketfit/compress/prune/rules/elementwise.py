"""Ops on each element by itself, and on elements at the same position of several tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.fx import Node
from torch.utils import _pytree as pytree

from pocketfit.compress.prune.coupling import varying_axes
from pocketfit.compress.prune.trace import Rule, Trace

__all__ = ["ELEMENTWISE", "elementwise", "is_pointwise"]

aten = torch.ops.aten


def is_pointwise(target: object) -> bool:
    """Whether torch itself says that an op works element by element."""
    return torch.Tag.pointwise in getattr(target, "tags", ())


def elementwise(trace: Trace, node: Node) -> torch.Tensor:
    """Unite what meets at an element.

    A tensor that is repeated over all channels (a spatial gate, a scalar) belongs to none of them: it stays whole and
    the channels are free.
    """
    operands = pytree.tree_leaves((trace.value(node.args), trace.value(node.kwargs)))
    return united(trace, [one for one in operands if isinstance(one, torch.Tensor)], trace.shape(node))


def united(trace: Trace, operands: Sequence[torch.Tensor], shape: tuple[int, ...]) -> torch.Tensor:
    """Labels of a result of that shape."""
    leader = max(operands, key=lambda labels: (len(varying_axes(labels)), labels.numel()))
    from_end = [axis - leader.dim() for axis in varying_axes(leader)]
    for labels in operands:
        if labels is leader:
            continue
        if from_end and all(-axis > labels.dim() or labels.shape[axis] == 1 for axis in from_end):
            trace.coupling.fix(labels)
        else:
            trace.coupling.unite(labels, leader)
    result: torch.Tensor = leader.expand(shape)
    return result


def prelu(trace: Trace, node: Node) -> torch.Tensor:
    """Its slopes belong to axis 1, as a bias does."""
    labels: torch.Tensor
    slopes: torch.Tensor
    labels, slopes = trace.value(node.args)
    if slopes.numel() > 1:
        trace.coupling.unite(trace.along(labels, 1), slopes)
    return labels


def cast(trace: Trace, node: Node) -> torch.Tensor:
    """Another type, or another place."""
    labels: torch.Tensor = trace.value(node.args[0])
    return labels


ELEMENTWISE: dict[object, Rule] = {
    aten.hardswish.default: elementwise,
    aten.prelu.default: prelu,
    aten.to.dtype: cast,
    aten.to.device: cast,
    aten.to.dtype_layout: cast,
    aten._to_copy.default: cast,
    aten.detach.default: cast,
    aten.detach_.default: cast,
    aten.alias.default: cast,
}
