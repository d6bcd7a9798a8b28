"""What can be spared from quantization: single ops, and the user's own modules as wholes.

Sparing a convolution inside a squeeze-and-excite block helps little as long as the multiplications around it round to
8 bits. Sparing the block does; and its name means something to the person who wrote it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.fx import Node

from pocketfit.compress.quantize.placement import fused_activation, is_layer, place
from pocketfit.graph.attributes import get_tensor
from pocketfit.models.canonical import source_of
from pocketfit.types import LoadedModel

__all__ = ["Unit", "resolve", "units"]

# A module that holds more than this share of all ops is no longer an exception.
LARGEST_SHARE = 0.25


@dataclass(frozen=True)
class Unit:
    """Some nodes that are spared together.

    Args:
        name: dotted path of the module where it is one, else the node's name.
        nodes: names of the nodes; an activation fused into a layer goes with it.
        layers: those of them that have weights.
        weights: number of weights in them.
        work: multiply-accumulates and written elements of one inference, roughly what its time grows with.
    """

    name: str
    nodes: frozenset[str]
    layers: frozenset[str]
    weights: int
    work: int


def units(model: LoadedModel) -> tuple[Unit, ...]:
    """Every op that quantization touches, alone and with the others of its module, smallest first in graph order."""
    touched = _touched(model)
    singles = [_unit(model, node.name, [node]) for node in touched]
    modules: dict[str, list[Node]] = {}
    for node in touched:
        for path in _modules_of(node):
            modules.setdefault(path, []).append(node)
    most = max(2, int(len(touched) * LARGEST_SHARE))
    groups = {frozenset(nodes): path for path, nodes in modules.items() if 2 <= len(nodes) <= most}
    return (*singles, *(_unit(model, path, list(nodes)) for nodes, path in groups.items()))


def resolve(model: LoadedModel, names: frozenset[str]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Node names behind what a user wrote: node names and dotted module paths.

    Returns:
        The names of the nodes, and those of `names` that nothing answers to.
    """
    touched = _touched(model)
    found = {
        name: {node.name for node in touched if name == node.name or name in (source_of(node), *_modules_of(node))}
        for name in names
    }
    nodes = frozenset().union(*found.values()) if found else frozenset()
    return nodes, tuple(sorted(name for name, nodes in found.items() if not nodes))


def _touched(model: LoadedModel) -> list[Node]:
    placement = place(model.graph)
    names = {*placement.layers, *placement.tensors}
    fused = {other for node in model.graph.graph.nodes if (other := fused_activation(node)) is not None}
    return [
        node
        for node in model.graph.graph.nodes
        if node.op == "call_function"
        and node not in fused
        and (node.name in names or getattr(fused_activation(node), "name", None) in names)
    ]


def _modules_of(node: Node) -> list[str]:
    """Paths of the modules around the node, innermost first, the whole model left out."""
    parts = source_of(node).split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1) if parts[0]]


def _unit(model: LoadedModel, name: str, nodes: list[Node]) -> Unit:
    layers = [node for node in nodes if is_layer(node)]
    fused = [other for node in nodes if (other := fused_activation(node)) is not None]
    return Unit(
        name=name,
        nodes=frozenset(node.name for node in (*nodes, *fused)),
        layers=frozenset(node.name for node in layers),
        weights=sum(_weight_of(model, node).numel() for node in layers),
        work=sum(_work(model, node) for node in nodes),
    )


def _work(model: LoadedModel, node: Node) -> int:
    value = node.meta.get("val")
    written = math.prod(map(int, value.shape[1:])) if isinstance(value, torch.Tensor) else 0
    if not is_layer(node):
        return written
    weight = _weight_of(model, node)
    return written * (1 + weight[0].numel())


def _weight_of(model: LoadedModel, node: Node) -> torch.Tensor:
    weight = node.args[1]
    assert isinstance(weight, Node)
    return get_tensor(model.graph, str(weight.target))
