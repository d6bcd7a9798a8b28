"""Spell out the padding of convolutions that were given it in words."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import GraphModule, Node

from pocketfit.graph.base import Pass
from pocketfit.graph.calls import arguments, per_axis

__all__ = ["ExplicitPadding"]

aten = torch.ops.aten


class ExplicitPadding(Pass):
    """Replace `padding="same"` and `padding="valid"` by numbers of pixels.

    1. `valid` is no padding.
    2. `same` with an odd kernel pads both sides alike: the convolution does it itself.
    3. `same` with an even kernel needs one more at the end: a `constant_pad_nd` before the convolution, as torch has
       it.
    """

    name = "explicit-padding"

    def apply(self, module: GraphModule) -> int:
        """Rewrite and count the convolutions."""
        nodes = [node for node in module.graph.nodes if node.target in _NUMERIC]
        for node in nodes:
            _rewrite(module, node)
        return len(nodes)


_NUMERIC = {
    aten.conv1d.padding: aten.conv1d.default,
    aten.conv2d.padding: aten.conv2d.default,
    aten.conv3d.padding: aten.conv3d.default,
}


def _rewrite(module: GraphModule, node: Node) -> None:
    kernel = tuple(node.args[1].meta["val"].shape[2:])  # type: ignore[union-attr]
    image, weight, bias, stride, padding, dilation, groups = _arguments(node, len(kernel))
    totals = [0] * len(kernel)
    if padding == "same":
        totals = [step * (size - 1) for step, size in zip(dilation, kernel, strict=True)]
    if any(total % 2 for total in totals):
        image, totals = _padded(module, node, totals), [0] * len(kernel)
    node.args = (image, weight, bias, stride, [total // 2 for total in totals], dilation, groups)
    node.target = _NUMERIC[node.target]  # type: ignore[index]


def _arguments(node: Node, dimensions: int) -> tuple[Any, ...]:
    """Image, weight, bias, stride, padding, dilation and groups, with the defaults where an argument is left out."""
    given = arguments(node, None, None, None, [1], "valid", [1], 1)
    image, weight, bias, stride, padding, dilation, groups = given
    return image, weight, bias, per_axis(stride, dimensions), padding, per_axis(dilation, dimensions), groups


def _padded(module: GraphModule, node: Node, totals: list[int]) -> Node:
    # torch pads the smaller half first, and counts dimensions from the last.
    sides = [side for total in reversed(totals) for side in (total // 2, total - total // 2)]
    with module.graph.inserting_before(node):
        padded = module.graph.call_function(aten.constant_pad_nd.default, (node.args[0], sides, 0.0))
    padded.meta["nn_module_stack"] = node.meta.get("nn_module_stack", {})
    return padded
