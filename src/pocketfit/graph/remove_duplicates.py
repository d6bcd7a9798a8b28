"""Compute once what is computed twice."""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node
from torch.fx.immutable_collections import immutable_dict, immutable_list

from pocketfit.graph.base import Pass

__all__ = ["RemoveDuplicates"]


class RemoveDuplicates(Pass):
    """Let the readers of an op read the first one that has the same arguments.

    1. Reading the same weight twice is one read.
    2. Random ops, and those that write, stay.
    """

    name = "remove-duplicates"

    def apply(self, module: GraphModule) -> int:
        """Merge and count the ops that went; reads of weights are not counted."""
        first: dict[object, Node] = {}
        changes = 0
        for node in list(module.graph.nodes):
            if not _is_repeatable(node):
                continue
            same = first.setdefault(_key(node), node)
            if same is not node:
                node.replace_all_uses_with(same)
                module.graph.erase_node(node)
                changes += node.op == "call_function"
        return changes


def _is_repeatable(node: Node) -> bool:
    if node.op == "get_attr":
        return True
    if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
        return False
    return not node.target._schema.is_mutable and torch.Tag.nondeterministic_seeded not in node.target.tags


def _key(node: Node) -> object:
    return node.op, node.target, _hashable(node.args), _hashable(node.kwargs)


def _hashable(value: object) -> object:
    """Arguments by value and type: 1, 1.0 and True are not the same argument."""
    if isinstance(value, tuple | list | immutable_list):
        return tuple(_hashable(one) for one in value)
    if isinstance(value, dict | immutable_dict):
        return tuple((name, _hashable(one)) for name, one in sorted(value.items()))
    return type(value), value
