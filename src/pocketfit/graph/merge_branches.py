"""Make one convolution of branches that read the same tensor and are summed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch.fx import GraphModule, Node

from pocketfit.graph.affine_layer import AffineLayer, affine_layer, geometry, parameters, store
from pocketfit.graph.base import Pass
from pocketfit.graph.fold_batch_norm import batch_norm_affine

__all__ = ["MergeBranches"]

aten = torch.ops.aten


class MergeBranches(Pass):
    """Replace `conv(x) + conv'(x)` by one convolution: what RepVGG and MobileOne train apart and deploy as one.

    1. Kernels of different sizes, where padding makes their results lie on each other: the smaller one is filled up
       with zeros.
    2. A batch normalisation of x beside a convolution of stride 1 is a 1x1 convolution whose weight is diagonal.
    3. Sums of more branches, two at a time.
    4. Left alone: x itself as a branch. It would put a one among weights that are far smaller, which is what 8 bits
       cannot hold; branches with an activation; other strides, dilations or groups.

    Source: Ding et al., "RepVGG: Making VGG-style ConvNets Great Again", 2021, section 3.3.
    """

    name = "merge-branches"
    # The branches' products are summed in another order.
    tolerance = 1e-4

    def apply(self, module: GraphModule) -> int:
        """Merge and count the sums that went."""
        sums = [node for node in module.graph.nodes if node.target is aten.add.Tensor and not node.kwargs]
        changes = sum(_merge(module, node) for node in sums)
        module.graph.eliminate_dead_code()
        return changes


@dataclass(frozen=True)
class _Branch:
    """A convolution of `source`, as its numbers: weight out×(in/groups)×h×w and bias, float64."""

    source: Node
    weight: torch.Tensor
    bias: torch.Tensor
    padding: tuple[int, ...]

    def reach(self, padding: tuple[int, ...]) -> tuple[int, int]:
        """Height and width of the kernel, filled up until it needs that padding."""
        height, width = self.weight.shape[2:]
        return height + 2 * (padding[0] - self.padding[0]), width + 2 * (padding[1] - self.padding[1])

    def filled(self, padding: tuple[int, ...]) -> torch.Tensor:
        """The weight with zeros around it, such that it needs that padding."""
        rows, columns = padding[0] - self.padding[0], padding[1] - self.padding[1]
        return F.pad(self.weight, (columns, columns, rows, rows))


def _merge(module: GraphModule, node: Node) -> int:
    if len(node.args) != 2 or node.args[0] is node.args[1]:
        return 0
    found = [(one, _only_convolution(module, one)) for one in node.args]
    layers = [layer for _, layer in found if layer is not None]
    if not layers:
        return 0
    kept, *_ = layers
    branches = [_branch(module, one, layer, kept) for one, layer in found]
    one, other = branches
    if one is None or other is None or one.source is not other.source:
        return 0
    padding = max(one.padding, other.padding, key=sum)
    if one.reach(padding) != other.reach(padding) or min(*one.reach(padding)) < 1 or not _fits(one, other, padding):
        return 0
    weight = one.filled(padding) + other.filled(padding)
    if not store(module, kept, weight, one.bias + other.bias):
        return 0
    _set_padding(kept.node, padding)
    node.replace_all_uses_with(kept.node)
    module.graph.erase_node(node)
    return 1


def _fits(one: _Branch, other: _Branch, padding: tuple[int, ...]) -> bool:
    """Whether the larger padding is the larger one on both axes, so that no kernel would have to be cut."""
    return all(padding[axis] >= branch.padding[axis] for branch in (one, other) for axis in (0, 1))


def _only_convolution(module: GraphModule, node: object) -> AffineLayer | None:
    if not isinstance(node, Node) or node.target is not aten.conv2d.default or len(node.users) != 1:
        return None
    return affine_layer(module, node)


def _branch(module: GraphModule, node: Any, layer: AffineLayer | None, like: AffineLayer) -> _Branch | None:
    """The branch as a convolution of the stride, dilation and groups of another; None where it is none."""
    wanted = geometry(like.node)
    if layer is not None:
        own = geometry(layer.node)
        if replace(own, padding=wanted.padding) != wanted:
            return None
        return _Branch(layer.node.args[0], *parameters(module, layer), own.padding)  # type: ignore[arg-type]
    affine = batch_norm_affine(module, node) if isinstance(node, Node) and len(node.users) == 1 else None
    if affine is None or wanted.stride != (1, 1) or wanted.dilation != (1, 1):
        return None
    factor, offset = affine
    if len(factor) % wanted.groups:
        return None
    diagonal = torch.eye(len(factor) // wanted.groups, dtype=torch.float64).repeat(wanted.groups, 1)
    return _Branch(node.args[0], (diagonal * factor[:, None])[..., None, None], offset, (0, 0))


def _set_padding(node: Node, padding: tuple[int, ...]) -> None:
    known = geometry(node)
    node.args = (*node.args[:3], [*known.stride], [*padding], [*known.dilation], known.groups)
