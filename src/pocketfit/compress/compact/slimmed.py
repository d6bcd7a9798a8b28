"""What became of a model whose layers were written in another form."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch.fx import GraphModule, Node

from pocketfit.graph.running import plain_copy
from pocketfit.models.canonical import canonicalise, source_of
from pocketfit.types import LoadedModel

__all__ = ["Rewritten", "Slimmed", "positions", "rewritable", "slimmed"]


@dataclass(frozen=True)
class Rewritten:
    """A layer in another form.

    Args:
        name: dotted path in the user's model, or the node's name.
        parameters: of the weight before and after.
        macs: of one inference before and after.
        lost: share of the variance of what the layer gives, 0..1, that the new form cannot give.
    """

    name: str
    parameters: tuple[int, int]
    macs: tuple[int, int]
    lost: float


@dataclass(frozen=True)
class Slimmed:
    """A model with some layers in another form.

    Args:
        model: in canonical form.
        layers: those that were rewritten, in order.
    """

    model: LoadedModel
    layers: tuple[Rewritten, ...]


def rewritable(model: LoadedModel) -> GraphModule:
    """A copy of the graph whose layers may be replaced."""
    return plain_copy(model.graph)


def slimmed(model: LoadedModel, graph: GraphModule, layers: list[Rewritten]) -> Slimmed:
    """The changed graph in canonical form.

    Raises:
        ModelError: it cannot be exported any more, which is a fault of Pocketfit.
    """
    graph.graph.eliminate_dead_code()
    graph.recompile()
    made = canonicalise(graph, model.input_shape, name=model.name, source=model.source)
    return Slimmed(replace(made, preprocess=model.preprocess), tuple(layers))


def positions(node: Node) -> int:
    """How many places of one sample a layer computes its channels for."""
    shape: torch.Size = node.meta["val"].shape
    outer = shape[2:] if node.target is not torch.ops.aten.linear.default else shape[1:-1]
    return math.prod(map(int, outer))


def name_of(node: Node) -> str:
    """What a table calls a layer."""
    return source_of(node) or node.name
