"""A lowered graph in the form that litert-torch translates without a fault."""

from __future__ import annotations

import torch
from torch.fx import GraphModule

__all__ = ["negate_subtrahends"]

aten = torch.ops.aten


def negate_subtrahends(graph: GraphModule) -> None:
    """Write `constant - x` as `-x + constant`, in place.

    The converter folds a subtraction into the convolution before it as if the constant were taken from the result.
    """
    for node in list(graph.graph.nodes):
        if node.target is not aten.sub.Tensor or node.kwargs or node.args[0].op != "get_attr":
            continue
        constant, taken = node.args
        with graph.graph.inserting_before(node):
            negated = graph.graph.call_function(aten.neg.default, (taken,))
            total = graph.graph.call_function(aten.add.Tensor, (negated, constant))
        negated.meta, total.meta = dict(node.meta), dict(node.meta)
        node.replace_all_uses_with(total)
        graph.graph.erase_node(node)
    graph.recompile()
