"""Samples in the order in which a training meets them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.utils.data import Dataset

from pocketfit.data.preprocess import batches
from pocketfit.types import Samples

__all__ = ["Batch", "Order", "TrainingSet"]

# Positions in the data, model inputs, and labels: -1 where there are none.
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class TrainingSet(Dataset[Batch]):
    """Samples as the model takes them, preprocessed batch by batch."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples.inputs)

    def __getitem__(self, position: int) -> Batch:
        return self.__getitems__([position])

    def __getitems__(self, positions: Sequence[int]) -> Batch:
        """A whole batch; torch's loader asks for it where it can."""
        chosen = np.asarray(positions)
        labels = np.full(len(chosen), -1) if self.samples.labels is None else self.samples.labels[chosen]
        (inputs,) = batches(replace(self.samples, inputs=self.samples.inputs[chosen], labels=None), len(chosen))
        return torch.from_numpy(chosen), torch.from_numpy(inputs), torch.from_numpy(labels.astype(np.int64))


class Order:
    """Which samples each step takes, from any step on: a random order for every epoch that depends on the seed alone.

    Args:
        count: number of samples.
        batch_size: samples a step; a remainder is left out of its epoch.
        epochs: passes over the samples.
        seed: of the order.
    """

    # What `accelerate` asks before it deals a batch out to several processes.
    drop_last = True

    def __init__(self, count: int, batch_size: int, epochs: int, seed: int) -> None:
        self.count = count
        self.batch_size = batch_size
        self.seed = seed
        self.steps_per_epoch = count // batch_size
        self.steps = self.steps_per_epoch * epochs
        self.start = 0

    def __len__(self) -> int:
        return self.steps - self.start

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.start, self.steps):
            epoch, number = divmod(step, self.steps_per_epoch)
            if number == 0 or step == self.start:
                order = np.random.default_rng([self.seed, epoch]).permutation(self.count).tolist()
            yield order[number * self.batch_size : (number + 1) * self.batch_size]
