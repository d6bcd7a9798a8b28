"""A graph whose images stay channels last in a `.tflite` file, with no transposes left between ops.

LiteRT's kernels want channels last, and the converter turns the input once and then goes on so for as long as it knows
how. It turns a tensor back, and once more, where an op is written in a form that it knows for channels first alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.fx import GraphModule, Node

from pocketfit.graph.attributes import constant, free_path, set_tensor
from pocketfit.graph.calls import arguments

__all__ = ["keep_channels_last"]

aten = torch.ops.aten

_IMAGE = 4
_FLATTEN = (aten.flatten.using_ints, aten.reshape.default, aten.view.default)


def keep_channels_last(graph: GraphModule) -> None:
    """Rewrite, in place, what would be turned to channels first.

    1. Group normalisation with one group, or with one a channel: as means over axes. The converter's own form goes
       through a reshape.
    2. The mean of an image, as of a global pooling: with its axes kept, and dropped behind it. Left alone where it is
       quantized, since mean and quantization have to stay one op.
    3. Pixels as a sequence, `flatten(2).transpose(1, 2)`: the channels are moved before the rows and columns are made
       one, not behind.
    """
    for node in list(graph.graph.nodes):
        if node.target is aten.group_norm.default:
            _write_out_norm(graph, node)
        elif node.target is aten.mean.dim:
            _keep_axes(graph, node)
        elif node.target is aten.transpose.int:
            _move_channels_first(graph, node)
    graph.graph.eliminate_dead_code()


def _write_out_norm(graph: GraphModule, node: Node) -> None:
    x, groups, weight, bias, epsilon = arguments(node, None, None, None, None, 1e-5)[:5]
    shape = node.meta["val"].shape
    if len(shape) != _IMAGE or groups not in (1, shape[1]):
        return
    axes = [1, 2, 3] if groups == 1 else [2, 3]
    with graph.graph.inserting_before(node):
        call = graph.graph.call_function
        centred = call(aten.sub.Tensor, (x, call(aten.mean.dim, (x, axes, True))))
        variance = call(aten.mean.dim, (call(aten.mul.Tensor, (centred, centred)), axes, True))
        done = call(aten.mul.Tensor, (centred, call(aten.rsqrt.default, (call(aten.add.Tensor, (variance, epsilon)),))))
        for op, values in ((aten.mul.Tensor, weight), (aten.add.Tensor, bias)):
            done = done if values is None else call(op, (done, _per_channel(graph, values)))
    _replace(graph, node, done)


def _per_channel(graph: GraphModule, node: Node) -> Node:
    """The weight with the axes of an image: with fewer, what it is multiplied with is turned."""
    values = constant(graph, node)
    assert values is not None
    path = free_path(graph, f"{str(node.target).replace('.', '_')}_per_channel")
    set_tensor(graph, path, values.reshape(1, -1, 1, 1).clone())
    return graph.graph.get_attr(path)


def _keep_axes(graph: GraphModule, node: Node) -> None:
    x, axes, keep = arguments(node, None, None, False)[:3]
    shape = node.meta["val"].shape
    if keep or node.kwargs or not axes or len(shape) + len(axes) != _IMAGE or _quantized(node):
        return
    if sorted(axis % _IMAGE for axis in axes) != [2, 3]:
        return
    with graph.graph.inserting_before(node):
        mean = graph.graph.call_function(aten.mean.dim, (x, axes, True))
        dropped = graph.graph.call_function(aten.reshape.default, (mean, [-1, int(shape[1])]))
    _replace(graph, node, dropped)


def _quantized(node: Node) -> bool:
    return any("quantize" in str(reader.target) for reader in node.users)


def _move_channels_first(graph: GraphModule, node: Node) -> None:
    flat, *axes = arguments(node)
    if not isinstance(flat, Node) or flat.target not in _FLATTEN or sorted(axis % 3 for axis in axes) != [1, 2]:
        return
    image, taken = flat.args[0], _shape(flat)
    given = _shape(image)
    if len(given) != _IMAGE or len(taken) != 3 or given[1] != taken[1]:
        return
    with graph.graph.inserting_before(node):
        moved = graph.graph.call_function(aten.permute.default, (image, [0, 2, 3, 1]))
        sequence = graph.graph.call_function(aten.reshape.default, (moved, [-1, int(taken[2]), int(taken[1])]))
    _replace(graph, node, sequence)


def _shape(value: Any) -> Sequence[Any]:
    """Of a node's tensor; empty where it is not known."""
    tensor = value.meta.get("val") if isinstance(value, Node) else None
    return tensor.shape if isinstance(tensor, torch.Tensor) else ()


def _replace(graph: GraphModule, node: Node, by: Node) -> None:
    by.meta = dict(node.meta)
    node.replace_all_uses_with(by)
    graph.graph.erase_node(node)
