"""A lowered graph in the form that litert-torch translates without a fault."""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from pocketfit.graph.calls import per_axis
from pocketfit.runtimes.litert_layout import keep_channels_last

__all__ = ["write_for_converter"]

aten = torch.ops.aten

_END = 2**63 - 1  # of an axis, as torch writes it


def write_for_converter(graph: GraphModule) -> None:
    """Rewrite, in place, what the converter would get wrong or refuse."""
    keep_channels_last(graph)
    _negate_subtrahends(graph)
    _crop_transposed_convolutions(graph)
    _restore_for_each_reader(graph)
    graph.recompile()


def _negate_subtrahends(graph: GraphModule) -> None:
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


def _crop_transposed_convolutions(graph: GraphModule) -> None:
    """Give transposed convolutions with output padding no padding at all, and cut it off behind them, in place.

    The converter knows no transposed convolution that ends elsewhere than it begins. What would have to be made up
    (more output padding than padding) is left alone.
    """
    for node in list(graph.graph.nodes):
        if node.target not in (aten.conv_transpose1d.default, aten.conv_transpose2d.input) or len(node.args) < 6:
            continue
        axes = 1 if node.target is aten.conv_transpose1d.default else 2
        padding, extra = (per_axis(given, axes) for given in node.args[4:6])
        if any(extra) and all(more <= cut for more, cut in zip(extra, padding, strict=True)):
            _crop(graph, node, padding, extra)


def _crop(graph: GraphModule, node: Node, padding: list[int], extra: list[int]) -> None:
    readers = list(node.users)
    none = [0] * len(padding)
    node.args = (*node.args[:4], none, none, *node.args[6:])
    cropped = node
    for axis, (cut, more) in enumerate(zip(padding, extra, strict=True), start=2):
        with graph.graph.inserting_after(cropped):
            end = more - cut or _END
            cropped = graph.graph.call_function(aten.slice.Tensor, (cropped, axis, cut, end))
        cropped.meta = dict(node.meta)
    for reader in readers:
        reader.replace_input_with(node, cropped)


def _restore_for_each_reader(graph: GraphModule) -> None:
    """Give each reader of a restored tensor a dequantize op of its own, in place.

    The converter notes on such an op whether the channels come last. Where one reader wants them last and another does
    not, the first one's answer stands for both, and the other is given the wrong layout.
    """
    restore = torch.ops.quantized_decomposed.dequantize_per_tensor.default
    for node in graph.graph.find_nodes(op="call_function", target=restore):
        for reader in list(node.users)[1:]:
            with graph.graph.inserting_before(reader):
                own = graph.graph.node_copy(node)
            reader.replace_input_with(node, own)
