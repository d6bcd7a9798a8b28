"""The ops of an aten graph, and what they are called."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from torch.fx import GraphModule, Node

__all__ = ["arguments", "by_op", "calls", "op_name", "per_axis"]


def calls(graph: GraphModule) -> list[Node]:
    """Every op in graph order; what only takes a tensor out of a list that an op returned is none."""
    nodes = graph.graph.nodes
    return [node for node in nodes if node.op == "call_function" and node.target is not operator.getitem]


def by_op(graph: GraphModule) -> dict[str, list[Node]]:
    """The ops by their full name, such as `aten.conv2d.default`, in the order of their first use."""
    found: dict[str, list[Node]] = {}
    for node in calls(graph):
        found.setdefault(str(node.target), []).append(node)
    return found


def arguments(node: Node, *defaults: Any) -> tuple[Any, ...]:
    """Positional arguments of a call; torch leaves out, from the end, those that have their defaults."""
    return (*node.args, *defaults[len(node.args) :])


def per_axis(values: Sequence[int], axes: int) -> list[int]:
    """One number an axis, where one may stand for all."""
    return list(values) * axes if len(values) == 1 else list(values)


def op_name(node: Node) -> str:
    """`conv2d` of a call of `aten.conv2d.default`; of a function in Python its own name."""
    op = getattr(node.target, "overloadpacket", node.target)
    return str(getattr(op, "__name__", op))
