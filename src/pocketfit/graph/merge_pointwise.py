"""Make one layer of two that follow each other with nothing between."""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from pocketfit.graph.affine_layer import AffineLayer, Geometry, affine_layer, geometry, parameters, store
from pocketfit.graph.base import Pass

__all__ = ["MergePointwise"]

aten = torch.ops.aten


class MergePointwise(Pass):
    """Replace `conv1x1(layer(x))` by one layer, where that is no dearer.

    1. A 1x1 convolution of stride 1 without padding or groups after any convolution without groups; a linear layer
       after a linear layer. The weights are multiplied, and the first bias goes through the second weight.
    2. Left alone: a pair that is cheaper apart, as the factors of a low-rank layer are; a first layer that something
       else reads.
    """

    name = "merge-pointwise"
    # Two sums become one.
    tolerance = 1e-4

    def apply(self, module: GraphModule) -> int:
        """Merge and count the layers that went."""
        changes = sum(_merge(module, node) for node in list(module.graph.nodes) if _is_pointwise(node))
        module.graph.eliminate_dead_code()
        return changes


def _is_pointwise(node: Node) -> bool:
    if node.target is aten.linear.default:
        return True
    if node.target is not aten.conv2d.default:
        return False
    kernel = tuple(node.args[1].meta["val"].shape[2:])  # type: ignore[union-attr]
    return kernel == (1, 1) and geometry(node) == Geometry((1, 1), (0, 0), (1, 1), 1)


def _merge(module: GraphModule, node: Node) -> int:
    before = node.args[0]
    if not isinstance(before, Node) or before.target is not node.target or len(before.users) != 1:
        return 0
    first, second = affine_layer(module, before), affine_layer(module, node)
    if first is None or second is None or geometry(before).groups != 1:
        return 0
    weight, bias = _product(module, first, second)
    apart = sum(parameters(module, layer)[0].numel() for layer in (first, second))
    if weight.numel() > apart or not store(module, first, weight, bias):
        return 0
    node.replace_all_uses_with(before)
    before.meta["val"] = node.meta["val"]
    module.graph.erase_node(node)
    return 1


def _product(module: GraphModule, first: AffineLayer, second: AffineLayer) -> tuple[torch.Tensor, torch.Tensor]:
    inner, inner_bias = parameters(module, first)
    outer, outer_bias = parameters(module, second)
    matrix = outer.reshape(len(outer), -1)
    return torch.einsum("om,m...->o...", matrix, inner), matrix @ inner_bias + outer_bias
