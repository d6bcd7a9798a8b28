"""Leave out movements of values that another one undoes."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import GraphModule, Node

from pocketfit.graph.base import Pass
from pocketfit.graph.calls import arguments

__all__ = ["CancelMoves"]

aten = torch.ops.aten


class CancelMoves(Pass):
    """Make one of two movements, or none.

    1. A permutation of a permutation is one permutation; one that puts every axis where it is goes. `transpose` is a
       permutation of two axes.
    2. A reshape of a reshape reads what the first one read, and goes where the shape is what it was.
    3. A permutation that leaves the axes longer than 1 in their order moves nothing: a reshape, or a flattening of all
       but the batch, that reads it reads what it reads.
    4. An expansion goes where the sum, difference, product or quotient that reads it expands by itself.
    """

    name = "cancel-moves"

    def apply(self, module: GraphModule) -> int:
        """Rewrite and count the movements that went or were taken together."""
        changes = 0
        for node in list(module.graph.nodes):
            if node.target in _PERMUTATIONS:
                changes += _join_permutations(module, node)
            elif node.target in _SHAPING:
                changes += _pass_permutation(node)
                changes += _join_reshapes(module, node) if node.target in _RESHAPES else 0
            elif node.target is aten.expand.default:
                changes += _pass_expansion(node)
        module.graph.eliminate_dead_code()
        return changes


_BROADCASTING = (aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor)
_PERMUTATIONS = (aten.permute.default, aten.transpose.int)
_RESHAPES = (aten.reshape.default, aten.view.default)
_SHAPING = (*_RESHAPES, aten.flatten.using_ints, aten.unsqueeze.default, aten.squeeze.dim)


def _pass_expansion(node: Node) -> int:
    """Let the readers that need no expansion read what is expanded; return how many there are."""
    readers = [user for user in node.users if user.target in _BROADCASTING and len(user.args) == 2]
    passed = 0
    for reader in readers:
        others = [one for one in reader.args if one is not node and isinstance(one, Node)]
        if len(others) == 1 and others[0].meta["val"].shape == reader.meta["val"].shape:
            reader.replace_input_with(node, node.args[0])  # type: ignore[arg-type]
            passed += 1
    return passed


def _join_permutations(module: GraphModule, node: Node) -> int:
    before: Any = node.args[0]
    source, order = before, _order(node)
    if before.target in _PERMUTATIONS:
        source, order = before.args[0], [_order(before)[axis] for axis in order]
    if order == sorted(order):
        node.replace_all_uses_with(source)
        module.graph.erase_node(node)
        return 1
    if source is before:
        return 0
    node.target, node.args = aten.permute.default, (source, order)
    return 1


def _order(node: Node) -> list[int]:
    """Which axis of the input each axis of the result is."""
    arguments: tuple[Any, ...] = node.args
    rank = node.meta["val"].dim()
    if node.target is aten.permute.default:
        return [axis % rank for axis in arguments[1]]
    order = list(range(rank))
    one, other = (axis % rank for axis in arguments[1:3])
    order[one], order[other] = order[other], order[one]
    return order


def _pass_permutation(node: Node) -> int:
    before: Any = node.args[0]
    if before.target not in _PERMUTATIONS or not _moves_nothing(before):
        return 0
    if node.target not in _RESHAPES and not _flattens_samples(node):
        return 0
    node.replace_input_with(before, before.args[0])
    return 1


def _moves_nothing(node: Node) -> bool:
    """Whether the values lie in memory as they did."""
    source: Any = node.args[0]
    long = [axis for axis in _order(node) if source.meta["val"].shape[axis] != 1]
    return long == sorted(long)


def _flattens_samples(node: Node) -> bool:
    before: Any = node.args[0]
    return (
        node.target is aten.flatten.using_ints
        and arguments(node, None, 0, -1)[1:] == (1, -1)
        and _order(before)[0] == 0
    )


def _join_reshapes(module: GraphModule, node: Node) -> int:
    before: Any = node.args[0]
    changes = 0
    if before.target in _SHAPING:
        node.args = (before.args[0], node.args[1])
        node.target = aten.reshape.default
        changes = 1
    source: Any = node.args[0]
    if tuple(source.meta["val"].shape) == tuple(node.meta["val"].shape):
        node.replace_all_uses_with(source)
        module.graph.erase_node(node)
        return 1
    return changes
