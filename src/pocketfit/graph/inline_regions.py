"""Take ops out of the regions that say how precise, or whether with gradients, they are computed."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch.fx import GraphModule, Node

from pocketfit.graph.base import Pass

__all__ = ["InlineRegions"]

_AUTOCAST = torch.ops.higher_order.wrap_with_autocast
_GRADIENTS = torch.ops.higher_order.wrap_with_set_grad_enabled


class InlineRegions(Pass):
    """Put the ops of a `torch.autocast(enabled=False)` or `torch.no_grad()` region where the region is called.

    `torch.export` makes a graph of its own of each region. A region that casts (`enabled=True`) computes something else
    than its ops say, and stays.
    """

    name = "inline-regions"

    def apply(self, module: GraphModule) -> int:
        """Inline and count the regions."""
        regions = [node for node in module.graph.nodes if _changes_nothing(node)]
        for node in regions:
            _inline(module, node)
        return len(regions)


def _changes_nothing(node: Node) -> bool:
    if node.target is _GRADIENTS:
        return _is_unpacked(node)
    return node.target is _AUTOCAST and node.args[2] is False and _is_unpacked(node)


def _is_unpacked(node: Node) -> bool:
    """A region returns a list of which every reader takes one tensor."""
    return all(user.target is operator.getitem for user in node.users)


def _inline(module: GraphModule, node: Node) -> None:
    given: tuple[Any, ...] = node.args[4:] if node.target is _AUTOCAST else node.args[1:]
    region, *operands = given
    body: Any = module.get_submodule(str(region.target))
    inside = dict(zip(body.graph.find_nodes(op="placeholder"), operands, strict=True))
    with module.graph.inserting_before(node):
        results: Any = module.graph.graph_copy(body.graph, inside)
    for reader in list(node.users):
        reader.replace_all_uses_with(results[reader.args[1]])
        module.graph.erase_node(reader)
    module.graph.erase_node(node)
    if not region.users:
        module.graph.erase_node(region)
