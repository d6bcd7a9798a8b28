"""What layers give on samples: mean and covariance of their channels."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.fx import GraphModule, Node

from pocketfit.graph.affine_layer import channels_last
from pocketfit.graph.running import arguments
from pocketfit.graph.watched import Watched

__all__ = ["Moments", "responses", "vectors_of"]


@dataclass
class Moments:
    """Sums over positions, in float64, of vectors of D numbers.

    Args:
        count: positions.
        total: D sums.
        squares: D×D sums of products.
    """

    count: int
    total: torch.Tensor
    squares: torch.Tensor

    @property
    def mean(self) -> torch.Tensor:
        """D numbers."""
        return self.total / self.count

    @property
    def covariance(self) -> torch.Tensor:
        """D×D."""
        return self.squares / self.count - torch.outer(self.mean, self.mean)

    @classmethod
    def none(cls, size: int) -> Moments:
        """Of no position."""
        return cls(0, torch.zeros(size, dtype=torch.float64), torch.zeros(size, size, dtype=torch.float64))

    def add(self, vectors: torch.Tensor) -> None:
        """Take positions×D vectors in."""
        vectors = vectors.double()
        self.count += len(vectors)
        self.total += vectors.sum(0)
        self.squares += vectors.T @ vectors


def responses(graph: GraphModule, nodes: Collection[Node], batches: Iterable[np.ndarray]) -> dict[Node, Moments]:
    """Of each of these layers.

    Args:
        graph: takes a batch, or one sample at a time where its batch is fixed.
        nodes: convolutions over images, or linear layers.
        batches: float32, batch first.
    """
    found: dict[Node, Moments] = {}

    def watch(node: Node, result: Any, _: Any) -> None:
        if node in nodes:
            vectors = vectors_of(node, result)
            found.setdefault(node, Moments.none(vectors.shape[1])).add(vectors)

    watched = Watched(graph, watch)
    with torch.no_grad():
        for batch in batches:
            watched.run(*arguments(graph, torch.from_numpy(batch)))
    return found


def vectors_of(node: Node, value: torch.Tensor) -> torch.Tensor:
    """What a layer gives, or reads, as positions × channels."""
    return channels_last(node, value).flatten(0, -2)
