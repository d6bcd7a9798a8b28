"""Clipped activations between layers that are to be equalized.

ReLU6 clips every channel at 6, whatever the channel is divided by: the scale of a channel cannot be moved through it.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

import torch
from torch.fx import GraphModule, Node
from torch.utils import _pytree as pytree

from pocketfit.compress.quantize.arithmetic import channel_axis
from pocketfit.compress.quantize.layer_pairs import layer_pairs
from pocketfit.graph.attributes import free_path, set_tensor
from pocketfit.models.export import export_model, graph_of
from pocketfit.models.fingerprint import fingerprint
from pocketfit.models.weights import with_weights
from pocketfit.types import LoadedModel

__all__ = ["Relu6", "open_relu6", "upper_limit"]

aten = torch.ops.aten

_CLAMPS = frozenset({aten.clamp.default, aten.hardtanh.default})


class Relu6(StrEnum):
    """What becomes of a ReLU6 between two layers.

    KEEP: it stays, and the two layers are not equalized. Costs nothing, gains nothing.
    CLIP: it becomes a ReLU and a minimum with one limit per channel. The function stays exactly what it was; the
        minimum is one more op, which no runtime fuses into the layer, and the range of what it clips has to be
        quantized as well.
    RELU: it becomes a ReLU. No op is added; the function changes wherever a channel exceeds 6. What that costs depends
        on the training: TensorFlow's MobileNetV2 then answers 16% of images differently, before it is quantized.
    """

    KEEP = "keep"
    CLIP = "clip"
    RELU = "relu"


def open_relu6(model: LoadedModel, relu6: Relu6) -> tuple[LoadedModel, int]:
    """Replace the clipped activations that keep pairs of layers from being equalized.

    Args:
        model: the canonical model; left as it is.
        relu6: by what.

    Returns:
        The model, whose nodes have other names where any was replaced, and the number of replaced activations.
    """
    clipped = _between_layers(model.graph) if relu6 is not Relu6.KEEP else []
    if not clipped:
        return model, 0
    graph = with_weights(model, {}).graph
    nodes = {node.name: node for node in graph.graph.nodes}
    for node, layer in clipped:
        _open(graph, nodes[node.name], nodes[layer.name], relu6)
    graph.recompile()
    return _exported_again(model, graph), len(clipped)


def _between_layers(graph: GraphModule) -> list[tuple[Node, Node]]:
    """Clipped activations, each with the layer before it."""
    clipped = frozenset(node for node in graph.graph.nodes if upper_limit(node) is not None)
    pairs = layer_pairs(graph, also=clipped)
    return [(node, pair.first) for pair in pairs for node in pair.between if node in clipped]


def upper_limit(node: Node) -> float | None:
    """Where a ReLU6, or another clamp from zero to a constant, clips; None of any other node."""
    if node.target is aten.relu6.default:
        return 6.0
    low, high = (*node.args[1:3], None, None)[:2]
    if node.target not in _CLAMPS or low != 0 or not isinstance(high, int | float):
        return None
    return float(high) if high > 0 else None


def _open(graph: GraphModule, node: Node, layer: Node, relu6: Relu6) -> None:
    limit = upper_limit(node)
    node.target, node.args, node.kwargs = aten.relu.default, node.args[:1], {}
    if relu6 is Relu6.RELU:
        return
    assert limit is not None
    value = node.meta["val"]
    shape = [1] * value.dim()
    shape[channel_axis(layer)] = value.shape[channel_axis(layer)]
    path = free_path(graph, f"{node.name}_limit")
    set_tensor(graph, path, torch.full(shape, limit))
    with graph.graph.inserting_after(node):
        constant = graph.graph.get_attr(path)
    with graph.graph.inserting_after(constant):
        minimum = graph.graph.call_function(aten.minimum.default, (node, constant))
    node.replace_all_uses_with(minimum, delete_user_cb=lambda user: user is not minimum)


def _exported_again(model: LoadedModel, graph: GraphModule) -> LoadedModel:
    """The changed graph under the names that saving and restoring will give its nodes."""
    exported = graph_of(export_model(replace(model, graph=graph)))
    results = pytree.tree_leaves(exported.graph.output_node().args)
    output, *more = (replace(spec, name=node.name) for spec, node in zip(model.outputs, results, strict=True))
    return replace(model, graph=exported, output=output, more_outputs=tuple(more), fingerprint=fingerprint(exported))
