"""Split what attention projects at once before it is given five axes, which small runtimes do not have."""

from __future__ import annotations

import math
import operator
from typing import Any

import torch
from torch.fx import GraphModule, Node

from pocketfit.graph.base import Pass
from pocketfit.graph.writer import Writer

__all__ = ["SplitPackedProjections"]

aten = torch.ops.aten


class SplitPackedProjections(Pass):
    """Replace `x.reshape(b, n, 3, h, d).permute(2, 0, 3, 1, 4).unbind(0)` by three slices of x, four axes each.

    1. The axis that is unbound, or selected from, has to be the one that the permutation brings to the front, and the
       reshape has to have made it out of the last axis of x.
    2. Left alone where anything else reads the five axes.
    """

    name = "split-packed-projections"

    def apply(self, module: GraphModule) -> int:
        """Rewrite and count the projections."""
        changes = 0
        for node in [node for node in module.graph.nodes if node.target is aten.permute.default]:
            packed = _packed_axis(node)
            pieces = _pieces(node)
            if packed is not None and pieces:
                for piece, index in pieces:
                    _split(module, node, piece, packed, index)
                changes += 1
        module.graph.eliminate_dead_code()
        return changes


def _packed_axis(permute: Node) -> int | None:
    """The axis that comes first after the permutation, if the reshape made it out of the last axis of x."""
    reshape: Any = permute.args[0]
    order: Any = permute.args[1]
    if reshape.target not in (aten.reshape.default, aten.view.default):
        return None
    before, sizes = reshape.args[0].meta["val"].shape, reshape.args[1]
    kept = len(before) - 1
    known = all(isinstance(size, int) for size in sizes)
    made_of_last = known and len(sizes) >= 5 and math.prod(sizes[kept:]) == before[-1]
    return kept if made_of_last and order[0] == kept else None


def _pieces(permute: Node) -> list[tuple[Node, int]]:
    """What is taken off the first axis, with its index; nothing where that is not all that reads the node."""
    found: list[tuple[Node, int]] = []
    for user in permute.users:
        rest: Any = user.args[1:]
        if user.target is aten.unbind.int and not any(rest):
            found += _items(user)
        elif user.target is aten.select.int and rest[0] == 0:
            found.append((user, rest[1]))
        else:
            return []
    return found


def _items(unbound: Node) -> list[tuple[Node, int]]:
    users: list[Any] = list(unbound.users)
    assert all(user.target is operator.getitem for user in users)  # a list is only good for taking things out of it
    return [(user, user.args[1]) for user in users]


def _split(module: GraphModule, permute: Node, piece: Node, axis: int, index: int) -> None:
    reshape: Any = permute.args[0]
    order: Any = permute.args[1]
    source, sizes = reshape.args
    width = source.meta["val"].shape[-1] // sizes[axis]
    start = (index % sizes[axis]) * width
    write = Writer(module, piece)
    part = write(aten.slice.Tensor, source, axis, start, start + width)
    shaped = write(aten.reshape.default, part, [*sizes[:axis], *sizes[axis + 1 :]])
    rest = [other - (other > axis) for other in order[1:]]
    piece.replace_all_uses_with(write(aten.permute.default, shaped, rest))
