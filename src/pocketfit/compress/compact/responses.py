"""What layers give on samples: mean and covariance of their channels."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.fx import GraphModule, Interpreter, Node

__all__ = ["Moments", "channels_last", "responses"]


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

    class Watching(Interpreter):
        def run_node(self, n: Node) -> Any:
            value = super().run_node(n)
            if n in nodes:
                vectors = channels_last(n, value)
                found.setdefault(n, Moments.none(vectors.shape[1])).add(vectors)
            return value

    with torch.no_grad():
        for batch in batches:
            Watching(graph).run(torch.from_numpy(batch))
    return found


def channels_last(node: Node, value: torch.Tensor) -> torch.Tensor:
    """What a layer gives, or reads, as positions × channels."""
    if node.target is torch.ops.aten.linear.default:
        return value.reshape(-1, value.shape[-1])
    return value.movedim(1, -1).reshape(-1, value.shape[1])
