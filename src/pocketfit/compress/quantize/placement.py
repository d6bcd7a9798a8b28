"""Where quantization goes: which tensors become INT8, which layers, and which tensors must share a scale.

1. A convolution or linear layer with constant weights is a layer; its weight is quantized per output channel.
2. The result of a layer or an addition that only a ReLU or ReLU6 reads stays float: every runtime fuses the pair, and
   a quantization between the two would forbid it (ONNX Runtime runs three times slower then).
3. Every other result of a quantizable op is quantized.
4. Ops that only move or select values (reshape, pooling by maximum, concatenation, ...) cannot requantize in LiteRT:
   their inputs and outputs share one scale. Only what has a fixed range keeps out of a concatenation's scale.
5. The result of any other op is quantized only where a quantizable op reads it.
6. The model's answer stays float where that costs no INT8 layer: 8 bits make equals of answers that lie close together
   (SqueezeNet, whose last op is a mean, then answers 1.5% of images differently). A layer that writes the answer must
   quantize it to stay on an INT8 kernel; its range is never clipped.
7. What is to stay float stays float, layer or other op; its result is quantized only where something else needs it.
8. An op between float neighbours stays float with them: where only ops that no runtime computes in integers (a power, a
   root, a quotient) read it, or only such write what it reads, 8 bits would save nothing and lose what squares need.
9. A sum with a mask stays float, and so does the softmax that reads it: a range that holds the mask's minus infinity
   leaves the scores one step.

Sources: TensorFlow Lite's 8-bit quantization specification (same-scale and fixed-range ops); ONNX Runtime's
"Quantize ONNX models", on Q/DQ placement.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch.fx import Node

from pocketfit.graph.attributes import constant, get_tensor
from pocketfit.graph.decompose_attention import MASKED

__all__ = ["FIXED_RANGES", "Placement", "activation_bounds", "fused_activation", "is_layer", "place"]

aten = torch.ops.aten

LAYERS = frozenset({aten.conv1d.default, aten.conv2d.default, aten.linear.default})

# Ops that move, select or repeat values without changing them.
SAME_SCALE = frozenset(
    {
        aten.avg_pool2d.default,  # LiteRT's average pooling cannot requantize, unlike its mean
        aten.cat.default,
        aten.chunk.default,
        aten.constant_pad_nd.default,
        aten.contiguous.default,
        aten.expand.default,
        aten.flatten.using_ints,
        aten.max_pool1d.default,
        aten.max_pool2d.default,
        aten.pad.default,
        aten.permute.default,
        aten.pixel_shuffle.default,
        aten.reshape.default,
        aten.select.int,
        aten.slice.Tensor,
        aten.split.Tensor,
        aten.split_with_sizes.default,
        aten.squeeze.dim,
        aten.squeeze.dims,
        aten.stack.default,
        aten.transpose.int,
        aten.unsqueeze.default,
        aten.upsample_nearest2d.vec,
        aten.view.default,
    }
)

# Ops whose result takes a scale of its own.
REQUANTIZING = frozenset(
    {
        aten.adaptive_avg_pool2d.default,
        aten.add.Tensor,
        aten.bmm.default,
        aten.clamp.default,
        aten.elu.default,
        aten.gelu.default,
        aten.hardsigmoid.default,
        aten.hardswish.default,
        aten.hardtanh.default,
        aten.layer_norm.default,
        aten.leaky_relu.default,
        aten.matmul.default,
        aten.mean.dim,
        aten.mul.Tensor,
        aten.prelu.default,
        aten.relu.default,
        aten.relu6.default,
        aten.sigmoid.default,
        aten.silu.default,
        aten.softmax.int,
        aten.sub.Tensor,
        aten.tanh.default,
        aten.upsample_bilinear2d.vec,
    }
)

# Affine (scale, zero point) that TensorFlow Lite's specification fixes for the results of these ops.
FIXED_RANGES = {
    aten.sigmoid.default: (1 / 256, 0),
    aten.softmax.int: (1 / 256, 0),
    aten.tanh.default: (1 / 128, 128),
}

# Their constants are parameters, not activations.
_OWN_PARAMETERS = frozenset({aten.layer_norm.default, aten.prelu.default})

# What a ReLU may be fused into, in every runtime.
_FUSES_ACTIVATION = LAYERS | {aten.add.Tensor}


@dataclass(frozen=True)
class Placement:
    """The decisions for one graph.

    Args:
        layers: names of layers, in graph order.
        tensors: names of INT8 tensors, in graph order, each with the name of its scale group.
        answers: scale groups of tensors that the model returns.
    """

    layers: tuple[str, ...]
    tensors: dict[str, str]
    answers: frozenset[str] = frozenset()


def is_layer(node: Node) -> bool:
    """Whether the node is a layer whose weight, and bias if it has one, are constants of the graph."""
    return (
        node.op == "call_function"
        and node.target in LAYERS
        and all(_is_constant(argument) for argument in node.args[1:3] if argument is not None)
    )


def place(graph: torch.fx.GraphModule, keep_float: Collection[str] = ()) -> Placement:
    """Decide where quantization goes in a canonical graph.

    Args:
        graph: the canonical float graph.
        keep_float: names of nodes that are to be computed in float; a layer's fused activation stays with it.
    """
    nodes = list(graph.graph.nodes)
    kept = frozenset(keep_float) | {
        fused.name for node in nodes if node.name in keep_float and (fused := fused_activation(node)) is not None
    }
    kept |= _masked(graph, nodes)
    kept |= _among_floats(nodes, kept)
    layers = tuple(node.name for node in nodes if is_layer(node) and node.name not in kept)
    quantized = [node for node in nodes if _is_quantized(node, kept)]
    tensors = _groups(quantized)
    answers = {tensors[node.name] for node in graph.graph.output_node().all_input_nodes if node.name in tensors}
    for group in [answer for answer in answers if _can_stay_float(graph, tensors, answer, kept)]:
        tensors = {name: other for name, other in tensors.items() if other != group}
    return Placement(layers=layers, tensors=tensors, answers=frozenset(answers & set(tensors.values())))


def _among_floats(nodes: list[Node], kept: frozenset[str]) -> frozenset[str]:
    """Ops that could be INT8, but are read or written by float ops alone (rule 8)."""

    def computes_float(node: Node) -> bool:
        could = _is_int8_layer(node, kept) or _is_quantizable(node, kept)
        return node.op == "call_function" and _is_float_tensor(node) and (not could or node.name in found)

    # An INT8 layer needs its result in INT8, and so the activation that is fused into it.
    of_layers = {fused_activation(node) for node in nodes if _is_int8_layer(node, kept)}
    candidates = [
        node
        for node in nodes
        if node.op == "call_function"
        and node.target in REQUANTIZING
        and node.name not in kept
        and node not in of_layers
    ]
    found: frozenset[str] = frozenset()
    while True:
        between = {
            node.name
            for node in candidates
            if node.name not in found
            if _all(computes_float(user) for user in node.users)
            or _all(computes_float(source) for source in node.all_input_nodes if source.op != "get_attr")
        }
        if not between:
            return found
        found |= between


def _masked(graph: torch.fx.GraphModule, nodes: list[Node]) -> frozenset[str]:
    """Sums with a constant that stands for minus infinity somewhere, and what reads them (rule 9)."""
    sums = [
        node
        for node in nodes
        if node.target is aten.add.Tensor
        and any((value := constant(graph, source)) is not None and value.min() <= MASKED for source in node.args)
    ]
    return frozenset(node.name for each in sums for node in (each, *each.users))


def _all(answers: Iterable[bool]) -> bool:
    """Whether there are answers and all are yes."""
    answers = list(answers)
    return bool(answers) and all(answers)


def _can_stay_float(graph: torch.fx.GraphModule, tensors: dict[str, str], group: str, kept: frozenset[str]) -> bool:
    """Whether no layer writes or reads the group's tensors, and nothing else needs them in INT8."""
    members = [node for node in graph.graph.nodes if tensors.get(node.name) == group]
    written = {source for node in members for source in (node, *node.all_input_nodes) if _is_int8_layer(source, kept)}
    by_layer = any(node in written or fused_activation(source) is node for source in written for node in members)
    readers = {user for node in members for user in node.users} - set(members)
    return not by_layer and not any(_is_quantizable(user, kept) or _is_int8_layer(user, kept) for user in readers)


def _is_quantized(node: Node, kept: frozenset[str]) -> bool:
    if not _is_float_tensor(node):
        return False
    if fused_activation(node) is not None:
        return False
    if _is_quantizable(node, kept) or _is_int8_layer(node, kept):
        return True
    return any(_reads_as_activation(user, node, kept) for user in node.users)


def _is_int8_layer(node: Node, kept: frozenset[str]) -> bool:
    return node.name not in kept and is_layer(node)


def _is_quantizable(node: Node, kept: frozenset[str]) -> bool:
    if node.op != "call_function" or node.name in kept:
        return False
    return node.target in SAME_SCALE or node.target in REQUANTIZING or _is_piece(node)


def _reads_as_activation(user: Node, node: Node, kept: frozenset[str]) -> bool:
    """Whether `user` needs `node` in INT8; weights and biases of layers have their own rules."""
    if is_layer(user):
        return user.args[0] is node and user.name not in kept
    if node.op == "get_attr" and user.target in _OWN_PARAMETERS:
        return False
    return _is_quantizable(user, kept)


def fused_activation(node: Node) -> Node | None:
    """The ReLU or ReLU6 that a runtime fuses into this node, if it is the only reader."""
    if node.op != "call_function" or node.target not in _FUSES_ACTIVATION or len(node.users) != 1:
        return None
    user = next(iter(node.users))
    return user if user.op == "call_function" and _is_fusable_activation(user) else None


def activation_bounds(node: Node) -> tuple[float, float]:
    """What a ReLU or ReLU6 clips to."""
    return (0.0, math.inf) if node.target is aten.relu.default else (0.0, 6.0)


def _is_fusable_activation(node: Node) -> bool:
    if node.target in (aten.relu.default, aten.relu6.default):
        return True
    return node.target in (aten.hardtanh.default, aten.clamp.default) and tuple(node.args[1:3]) == (0.0, 6.0)


def _is_constant(argument: object) -> bool:
    return isinstance(argument, Node) and argument.op == "get_attr"


def _is_float_tensor(node: Node) -> bool:
    if node.op in ("output", "call_module"):
        return False
    value = node.meta.get("val")
    if isinstance(value, torch.Tensor):
        return value.is_floating_point()
    if node.op == "get_attr":
        owner = node.graph.owning_module
        return owner is not None and get_tensor(owner, str(node.target)).is_floating_point()
    return False


def _groups(nodes: list[Node]) -> dict[str, str]:
    """Name each tensor's scale group after its earliest member (union-find over same-scale ops)."""
    parent = {node.name: node.name for node in nodes}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    order = {node.name: index for index, node in enumerate(nodes)}
    fixed = {node.name for node in nodes if node.target in FIXED_RANGES}
    for node in nodes:
        for source in _same_scale_sources(node):
            # A fixed range cannot widen for what it is concatenated with; converters requantize it there.
            if source.name not in parent or (_takes_several(node) and root(source.name) in fixed):
                continue
            first, second = sorted((root(node.name), root(source.name)), key=order.__getitem__)
            parent[second] = first
    return {node.name: root(node.name) for node in nodes}


def _takes_several(node: Node) -> bool:
    return isinstance(node.args[0], list | tuple)


def _same_scale_sources(node: Node) -> Iterator[Node]:
    """Tensors that must have the scale of `node`'s result."""
    if _is_piece(node):
        node = node.args[0]  # type: ignore[assignment]
    if node.op != "call_function" or node.target not in SAME_SCALE:
        return
    first = node.args[0]
    for source in first if isinstance(first, list | tuple) else (first,):
        if isinstance(source, Node):
            yield source


def _is_piece(node: Node) -> bool:
    """Whether the node takes one tensor out of the list that chunk or split returned."""
    if node.target is not operator.getitem:
        return False
    source = node.args[0]
    return isinstance(source, Node) and source.target in SAME_SCALE
