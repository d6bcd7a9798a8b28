"""Ops written so that ExecuTorch's passes and kernels come through them."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import GraphModule, Node

from pocketfit.graph.attributes import get_tensor, set_tensor
from pocketfit.graph.calls import arguments

__all__ = ["write_out_ops"]

aten = torch.ops.aten

# Where torch takes softplus for the identity; what is left out there is smaller than float32 can tell.
_STRAIGHT = 20.0


def write_out_ops(graph: GraphModule) -> dict[str, str]:
    """Rewrite in place what would fail.

    1. `softplus(x)` becomes `relu(x) + log(1 + exp(-|βx|)) / β`, which is the same without a branch: between
       channels-last tensors the branch's operands are laid out differently, and the runtime refuses them.
    2. A transposed convolution of a sequence becomes one of an image of height 1: XNNPACK's partitioner takes the
       first for a quantized one.

    Returns:
        By name of a node that is gone, the name of the node that gives its value now.
    """
    renamed = {}
    for node in list(graph.graph.nodes):
        write = {aten.softplus.default: _softplus, aten.conv_transpose1d.default: _transposed}.get(node.target)
        written = write(graph, node) if write is not None else None
        if written is not None:
            node.replace_all_uses_with(written)
            graph.graph.erase_node(node)
            renamed[node.name] = written.name
    return renamed


def _softplus(graph: GraphModule, node: Node) -> Node | None:
    x, beta, threshold = arguments(node, None, 1.0, _STRAIGHT)
    if threshold < _STRAIGHT:
        return None
    scaled = x if beta == 1 else _call(graph, node, aten.mul.Tensor, x, beta)
    small = _call(
        graph,
        node,
        aten.exp.default,
        _call(graph, node, aten.neg.default, _call(graph, node, aten.abs.default, scaled)),
    )
    rest = _call(graph, node, aten.log.default, _call(graph, node, aten.add.Tensor, small, 1.0))
    rest = rest if beta == 1 else _call(graph, node, aten.mul.Tensor, rest, 1 / beta)
    return _call(graph, node, aten.add.Tensor, _call(graph, node, aten.relu.default, x), rest)


def _transposed(graph: GraphModule, node: Node) -> Node:
    given = arguments(node, None, None, None, [1], [0], [0], 1, [1])
    x, weight, bias, stride, padding, output_padding, groups, dilation = given
    path = f"{weight.target}_image"
    set_tensor(graph, path, get_tensor(graph, str(weight.target)).unsqueeze(2))
    with graph.graph.inserting_before(node):
        image_weight = graph.graph.get_attr(path)
    image_weight.meta = {**weight.meta, "val": weight.meta["val"].unsqueeze(2)}
    image = _call(graph, node, aten.unsqueeze.default, x, 2)
    numbers = ([1, *stride], [0, *padding], [0, *output_padding], groups, [1, *dilation])
    result = _call(graph, node, aten.conv_transpose2d.input, image, image_weight, bias, *numbers)
    return _call(graph, node, aten.squeeze.dim, result, 2)


def _call(graph: GraphModule, like: Node, target: Any, *args: Any) -> Node:
    """A node before `like`, from the same place in the user's model."""
    with graph.graph.inserting_before(like):
        node = graph.graph.call_function(target, args)
    values = torch.fx.node.map_arg(args, lambda source: source.meta["val"])
    node.meta = {**like.meta, "val": target(*values)}
    return node
