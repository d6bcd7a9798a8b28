"""The plan's weights in the layers of an ncnn network: which layer is whose, and how each is stored.

Weights come through pnnx bit by bit, so a layer of the network is told by them which layer of the plan it is.
"""

from __future__ import annotations

import operator
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence

import numpy as np
from torch.fx import GraphModule, Node

from pocketfit.compress.quantize.arithmetic import Arithmetic, arithmetic, input_of
from pocketfit.compress.quantize.fake import weight_limit
from pocketfit.runtimes.ncnn_format import Layer, in_half
from pocketfit.runtimes.ncnn_int8 import connect_int8, has_int8, in_int8
from pocketfit.types import Precision, QuantizationPlan, Variant

__all__ = ["store_weights"]


def store_weights(layers: tuple[Layer, ...], variant: Variant) -> tuple[tuple[Layer, ...], tuple[str, ...]]:
    """The layers with weights as the plan wants them stored, and notes on what could not be stored so.

    Args:
        layers: of a float32 network.
        variant: the model it came from, and a plan that ncnn can express.
    """
    if variant.plan.precision is Precision.FLOAT32:
        return layers, ()
    owners = _owners(layers, variant.model.graph)
    if variant.plan.precision is Precision.INT8:
        return _store_int8(layers, owners, variant)
    halved = {key for key, node in owners.items() if node.name in variant.plan.layers}
    return tuple(in_half(layer, {blob for name, blob in halved if name == layer.name}) for layer in layers), ()


def _owners(layers: Sequence[Layer], graph: GraphModule) -> dict[tuple[str, int], Node]:
    """Which node's weight each blob (layer name, index) is, by its bytes; equal weights in the order of the graph."""
    waiting: defaultdict[bytes, deque[Node]] = defaultdict(deque)
    for node in graph.graph.nodes:
        weight = _weight(node, graph)
        if weight is not None:
            waiting[weight.tobytes()].append(node)
    blobs = (((layer.name, index), blob) for layer in layers for index, blob in enumerate(layer.blobs) if blob.tagged)
    return {key: found.popleft() for key, blob in blobs if (found := waiting.get(blob.values.tobytes()))}


def _weight(node: Node, graph: GraphModule) -> np.ndarray | None:
    """The constant second argument of an op, which is where aten keeps weights."""
    source = node.args[1] if node.op == "call_function" and len(node.args) > 1 else None
    if not isinstance(source, Node) or source.op != "get_attr":
        return None
    weight: np.ndarray = operator.attrgetter(str(source.target))(graph).detach().numpy()
    return weight


def _store_int8(
    layers: tuple[Layer, ...], owners: Mapping[tuple[str, int], Node], variant: Variant
) -> tuple[tuple[Layer, ...], tuple[str, ...]]:
    plan = variant.plan
    by_name = {layer.name: layer for layer in layers}
    kinds = {node.name: arithmetic(node, plan) for node in owners.values()}
    obstacles = {node.name: _obstacle(by_name[key[0]], kinds[node.name]) for key, node in owners.items()}
    stored: list[Layer] = []
    for layer in layers:
        node = owners.get((layer.name, 0))
        if node is None or obstacles[node.name]:
            stored.append(layer)
        elif kinds[node.name] is Arithmetic.HALF:
            stored.append(in_half(layer, {0}))
        else:
            numbers, scale = plan.layers[node.name], plan.activations[input_of(node).name].symmetric_scale
            stored += in_int8(layer, numbers.weight_scales, scale, weight_limit(numbers))
    lost = {name: "pnnx changed its weights" for name in plan.layers if name not in obstacles}
    return connect_int8(stored), (*_notes(obstacles | lost), *_wider(plan))


def _obstacle(layer: Layer, kind: Arithmetic) -> str:
    """Why the layer stays in float32 and not as the plan says; empty when it does not."""
    if kind is Arithmetic.FLOAT:
        return "the plan leaves them so"
    if kind is Arithmetic.INTEGER and not has_int8(layer):
        return f"ncnn's {layer.kind} has no INT8 with a weight scale per channel"
    return ""


def _wider(plan: QuantizationPlan) -> tuple[str, ...]:
    names = [name for name, layer in plan.layers.items() if layer.weight_bits == 4]
    return (f"4-bit weights take 8 bits in the file: {', '.join(names)}",) if names else ()


def _notes(obstacles: Mapping[str, str]) -> tuple[str, ...]:
    names: defaultdict[str, list[str]] = defaultdict(list)
    for name, reason in obstacles.items():
        names[reason].append(name)
    return tuple(f"float32 because {reason}: {', '.join(names[reason])}" for reason in names if reason)
