"""Channels that can only leave together.

Every position that might be removed has a number. What an op makes of two positions at once (their sum, their product)
exists only where both do, so their numbers are united; number 0 stands for everything that has to stay.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

__all__ = ["FIXED", "Coupling", "compact", "varying_axes"]

FIXED = 0


class Coupling:
    """Numbers and which of them belong together; labels are int64 tensors of numbers."""

    def __init__(self) -> None:
        self.count = 1
        self._pairs: list[np.ndarray] = []

    def fresh(self, *shape: int) -> torch.Tensor:
        """Labels that no other tensor has."""
        size = int(np.prod(shape))
        labels = torch.arange(self.count, self.count + size).reshape(shape)
        self.count += size
        return labels

    def unite(self, one: torch.Tensor, other: torch.Tensor) -> None:
        """Unite the numbers at equal positions of two tensors, which may be broadcast."""
        one, other = torch.broadcast_tensors(one, other)  # type: ignore[no-untyped-call]
        spread = [axis for axis in range(one.dim()) if one.stride(axis) == other.stride(axis) == 0]
        pairs = torch.stack([_first(one, spread).flatten(), _first(other, spread).flatten()], 1).numpy()
        self._pairs.append(np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0))

    def fix(self, labels: torch.Tensor) -> None:
        """Say that these positions have to stay."""
        self.unite(labels, torch.tensor(FIXED))

    def roots(self) -> torch.Tensor:
        """By number, the number of its set: 0 for what has to stay, others positive."""
        pairs = np.concatenate(self._pairs) if self._pairs else np.zeros((0, 2), int)
        links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(self.count, self.count))
        _, sets = connected_components(links, directed=False)
        numbered = np.where(sets == sets[FIXED], FIXED, sets + 1)
        return torch.from_numpy(numbered.astype(np.int64))


def compact(labels: torch.Tensor) -> torch.Tensor:
    """The labels without their repetitions: size 1 along axes that they were expanded over."""
    return _first(labels, [axis for axis in range(labels.dim()) if labels.stride(axis) == 0])


def varying_axes(labels: torch.Tensor) -> list[int]:
    """Axes along which not all numbers are the same."""
    labels = compact(labels)
    return [axis for axis in range(labels.dim()) if bool((labels != labels.narrow(axis, 0, 1)).any())]


def _first(labels: torch.Tensor, axes: list[int]) -> torch.Tensor:
    for axis in axes:
        labels = labels.narrow(axis, 0, min(1, labels.shape[axis]))
    return labels
