"""Which tensors of an aten graph lie in the memory of another, as a mobile runtime stores them.

Not what torch does: there a transposed tensor is a view, while a runtime writes it anew; and a runtime has no strides,
so that a part of a tensor can share its memory only where it is one piece of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import prod
from typing import Any

import torch
from torch.fx import Node

from pocketfit.graph.calls import op_name

__all__ = ["is_pointwise", "shape_of", "shares_input"]

_RESHAPES = frozenset(
    [
        "alias",
        "contiguous",
        "detach",
        "expand",
        "expand_as",
        "flatten",
        "lift_fresh_copy",
        "ravel",
        "reshape",
        "reshape_as",
        "squeeze",
        "to",
        "type_as",
        "unflatten",
        "unsqueeze",
        "view",
        "view_as",
        "_unsafe_view",
        "_to_copy",
    ]
)
_MOVES = frozenset({"permute", "swapaxes", "swapdims", "transpose"})
_PARTS = frozenset(
    [
        "chunk",
        "narrow",
        "select",
        "slice",
        "split",
        "split_with_sizes",
        "tensor_split",
        "unbind",
        "unsafe_chunk",
        "unsafe_split",
        "unsafe_split_with_sizes",
    ]
)
# Element by element, or written into a copy of the input, though torch does not tag them as pointwise.
_ALSO_POINTWISE = frozenset({"hardswish", "log_sigmoid", "prelu", "slice_scatter", "select_scatter", "softsign"})


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape of a tensor for a batch of one: what is not known in advance counts as 1."""
    return tuple(_known(size) for size in value.shape)


def shares_input(node: Node) -> bool:
    """Whether what a node returns lies in the memory of its first argument."""
    first = node.args[0] if node.args else None
    value = first.meta.get("val") if isinstance(first, Node) else None
    if not isinstance(value, torch.Tensor):
        return False
    name, shape = op_name(node), shape_of(value)
    if name in _RESHAPES:
        return _same_memory(value, node.meta["val"])
    if name in _MOVES:
        return _moves_nothing(node, shape)
    return name in _PARTS and _one_piece(node, shape)


def is_pointwise(node: Node) -> bool:
    """Whether an output element depends on the elements at its own place alone, so that it may be written there."""
    tags = getattr(node.target, "tags", ())
    return torch.Tag.pointwise in tags or op_name(node) in _ALSO_POINTWISE


def _known(size: Any) -> int:
    if isinstance(size, int):
        return size
    return _for_one(size.node.expr)


@cache
def _for_one(expression: Any) -> int:
    """The value of an expression in which every unknown size is 1."""
    return int(expression.subs(dict.fromkeys(expression.free_symbols, 1)))


def _same_memory(before: torch.Tensor, after: Any) -> bool:
    same_kind = before.dtype.itemsize == after.dtype.itemsize
    return same_kind and prod(shape_of(before)) == prod(shape_of(after))


def _moves_nothing(node: Node, shape: Sequence[int]) -> bool:
    """Whether only dimensions of size 1 change places."""
    moved = [dimension for dimension in _permutation(node, len(shape)) if shape[dimension] != 1]
    return moved == sorted(moved)


def _permutation(node: Node, rank: int) -> list[int]:
    given: Any = node.args[1] if op_name(node) == "permute" else node.args[1:3]
    dimensions = [dimension % rank for dimension in given]
    if op_name(node) == "permute":
        return dimensions
    first, second = dimensions
    swapped = {first: second, second: first}
    return [swapped.get(dimension, dimension) for dimension in range(rank)]


def _one_piece(node: Node, shape: Sequence[int]) -> bool:
    """Whether each part is one piece of memory: only dimensions of size 1 come before the one that is cut."""
    step = node.args[4] if op_name(node) == "slice" and len(node.args) > 4 else 1
    return bool(step == 1) and prod(shape[: _cut_dimension(node)]) == 1


def _cut_dimension(node: Node) -> int:
    """The dimension along which a node cuts its input, counted from the front."""
    schema = node.target._schema  # type: ignore[union-attr]
    names = [argument.name for argument in schema.arguments]
    position = names.index("dim")
    default = schema.arguments[position].default_value or 0
    given = node.args[position] if len(node.args) > position else node.kwargs.get("dim", default)
    assert isinstance(given, int) and isinstance(node.args[0], Node)
    return given % max(len(node.args[0].meta["val"].shape), 1)
