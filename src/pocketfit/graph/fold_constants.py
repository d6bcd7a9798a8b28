"""Compute once what depends on weights alone."""

from __future__ import annotations

import operator

import torch
from torch.fx import GraphModule, Node
from torch.utils import _pytree as pytree

from pocketfit.graph.attributes import constant, free_path, set_tensor
from pocketfit.graph.base import Pass

__all__ = ["FoldConstants"]


class FoldConstants(Pass):
    """Replace a computation whose inputs are all weights by its result.

    1. Weight normalisation and weight standardisation: the convolution reads a plain weight.
    2. Resized or concatenated position embeddings.
    3. Anchors and grids made from `arange`, `full` and the like.

    Random operations and operations on shapes of the input stay.
    """

    name = "fold-constants"
    # A weight that is transposed here lies otherwise in memory, and sums over it are taken in another order.
    tolerance = 1e-5

    def apply(self, module: GraphModule) -> int:
        """Compute and count the constants."""
        values: dict[Node, object] = {}
        for node in module.graph.nodes:
            if node.op == "get_attr":
                values[node] = constant(module, node)
            elif _is_foldable(node, values):
                values[node] = _evaluate(node, values)
        results = [node for node in values if node.op == "call_function" and _is_read_outside(node, values)]
        for node in results:
            _replace(module, node, values[node])
        return len(results)


def _is_foldable(node: Node, values: dict[Node, object]) -> bool:
    if node.op != "call_function" or not all(source in values for source in node.all_input_nodes):
        return False
    if node.target is operator.getitem:
        return True
    if not isinstance(node.target, torch._ops.OpOverload) or node.target._schema.is_mutable:
        return False
    return torch.Tag.nondeterministic_seeded not in node.target.tags


def _evaluate(node: Node, values: dict[Node, object]) -> object:
    assert callable(node.target)
    args, kwargs = pytree.tree_map_only(Node, values.__getitem__, (node.args, node.kwargs))
    with torch.no_grad():
        return node.target(*args, **kwargs)


def _is_read_outside(node: Node, values: dict[Node, object]) -> bool:
    """Whether a tensor is read by something that is not itself constant; lists are read through their elements."""
    if not isinstance(values[node], torch.Tensor):
        return False
    return any(user not in values for user in node.users)


def _replace(module: GraphModule, node: Node, value: object) -> None:
    assert isinstance(value, torch.Tensor)
    path = free_path(module, _path_for(node))
    set_tensor(module, path, value.detach().clone(memory_format=torch.contiguous_format))
    with module.graph.inserting_before(node):
        replacement = module.graph.get_attr(path)
    replacement.meta["val"] = node.meta.get("val")
    node.replace_all_uses_with(replacement)
    module.graph.erase_node(node)


def _path_for(node: Node) -> str:
    """Beside the first weight it was made from, so that the path still says which layer it belongs to."""
    sources = [source for source in pytree.tree_leaves(node.args) if isinstance(source, Node)]
    while sources and sources[0].op != "get_attr":
        sources = sources[0].all_input_nodes
    return str(sources[0].target) + "_folded" if sources else f"constant_{node.name}"
