"""Take a scale or an offset per channel into the layer beside it."""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from pocketfit.graph.affine_layer import AffineLayer, affine_layer, geometry, parameters, spread, store
from pocketfit.graph.attributes import constant
from pocketfit.graph.base import Pass

__all__ = ["FoldScale"]

aten = torch.ops.aten


class FoldScale(Pass):
    """Fold products and sums with constants, one number or one per channel, into convolutions and linear layers.

    1. `layer(x) * c`, `layer(x) / c`, `layer(x) + c`, `layer(x) - c`: into the weight and the bias.
    2. `layer(x * c)` and `layer(x / c)`, as of an input that is normalised: into the weight. What is padded is 0, and
       stays 0.
    3. `layer(x + c)` and `layer(x - c)`: into the bias, where nothing is padded. A padded layer would see c at the
       border, where it saw 0.
    4. Left alone: a layer or a product that something else reads; transposed convolutions behind the constant.
    """

    name = "fold-scale"
    tolerance = 1e-4

    def apply(self, module: GraphModule) -> int:
        """Fold and count the products and sums that went."""
        changes = 0
        while found := sum(_fold(module, node) for node in list(module.graph.nodes)):
            changes += found  # what stood before the folded one may stand beside the layer now
        module.graph.eliminate_dead_code()
        return changes


_PRODUCTS = (aten.mul.Tensor, aten.div.Tensor)
_OPS = (*_PRODUCTS, aten.add.Tensor, aten.sub.Tensor)


def _fold(module: GraphModule, node: Node) -> int:
    if node.target not in _OPS or node.kwargs or len(node.args) != 2:
        return 0
    x, values = _operands(module, node)
    if x is None or values is None:
        return 0
    for fold in (_into_layer_before, _into_layer_behind):
        folded = fold(module, node, x, values)
        if folded is not None and store(module, *folded):
            node.replace_all_uses_with(x)
            module.graph.erase_node(node)
            return 1
    return 0


_Folded = tuple[AffineLayer, torch.Tensor, torch.Tensor]


def _into_layer_before(module: GraphModule, node: Node, x: Node, values: torch.Tensor) -> _Folded | None:
    """The layer that gives x, with another weight and bias."""
    layer = affine_layer(module, x) if len(x.users) == 1 else None
    if layer is None:
        return None
    weight, bias = parameters(module, layer)
    factor = _per_channel(values, x, len(bias))
    if factor is None:
        return None
    if node.target not in _PRODUCTS:
        return layer, weight, bias - factor if node.target is aten.sub.Tensor else bias + factor
    factor = 1 / factor if node.target is aten.div.Tensor else factor
    return layer, weight * spread(factor, weight, layer), bias * factor


def _into_layer_behind(module: GraphModule, node: Node, _x: Node, values: torch.Tensor) -> _Folded | None:
    """The only layer that reads the result, with another weight and bias."""
    reader = next(iter(node.users)) if len(node.users) == 1 else None
    layer = affine_layer(module, reader)
    if layer is None or layer.axis != 0 or layer.node.args[0] is not node:
        return None
    slides = geometry(layer.node)
    weight, bias = parameters(module, layer)
    per_input = _per_channel(values, node, weight.shape[1] * slides.groups)
    if per_input is None:
        return None
    by_weight = _by_weight(per_input, weight, slides.groups)
    if node.target in _PRODUCTS:
        return layer, weight / by_weight if node.target is aten.div.Tensor else weight * by_weight, bias
    if any(slides.padding):
        return None
    offset = (weight * by_weight).flatten(1).sum(1)
    return layer, weight, bias - offset if node.target is aten.sub.Tensor else bias + offset


def _operands(module: GraphModule, node: Node) -> tuple[Node | None, torch.Tensor | None]:
    """The tensor that is computed, and the constant beside it; a constant comes first in products and sums only."""
    one, other = node.args
    if node.target in (aten.mul.Tensor, aten.add.Tensor) and constant(module, one) is not None:
        one, other = other, one
    values = torch.tensor(other, dtype=torch.float64) if isinstance(other, int | float) else constant(module, other)
    return (one if isinstance(one, Node) and one.op != "get_attr" else None), values


def _per_channel(values: torch.Tensor, beside: Node, channels: int) -> torch.Tensor | None:
    """The constant as one number per channel of `beside`; None where it varies otherwise, or makes it larger."""
    shape = beside.meta["val"].shape
    if values.numel() == 1 and values.dim() <= len(shape):
        return values.double().reshape(1).expand(channels)
    axis = len(shape) - 1 if _is_linear(beside) else 1
    full = (1,) * (len(shape) - values.dim()) + tuple(values.shape)
    wanted = tuple(channels if index == axis else 1 for index in range(len(shape)))
    return values.double().reshape(channels) if full == wanted else None


def _is_linear(node: Node) -> bool:
    """Whether the node is, or is read by, a linear layer, whose channels are the last axis."""
    return aten.linear.default in (node.target, *(user.target for user in node.users if user.op == "call_function"))


def _by_weight(per_input: torch.Tensor, weight: torch.Tensor, groups: int) -> torch.Tensor:
    """A number per input channel, in a shape that multiplies the weight out×(in/groups)×…"""
    rows = per_input.reshape(groups, -1).repeat_interleave(len(weight) // groups, dim=0)
    return rows.reshape(*rows.shape, *[1] * (weight.dim() - 2))
