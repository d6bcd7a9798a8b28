"""The graph that learns and the graph it learns from, each as a module from a batch to its answers."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from pocketfit.graph.running import joined, plain_copy, separated
from pocketfit.types import LoadedModel

__all__ = ["KnownAnswers", "Network", "Teacher"]

# A teacher's answers are kept up to here: they are the same in every epoch.
KEPT_BYTES = 2**28


class Network(nn.Module):
    """A module that takes a batch even where it was exported for one sample, and returns its outputs as one tensor."""

    def __init__(self, module: nn.Module, model: LoadedModel) -> None:
        super().__init__()
        self.module = module
        self.dynamic_batch, self.shapes = model.dynamic_batch, [given.shape[1:] for given in model.inputs]

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Answers of a batch."""
        pieces = [inputs] if self.dynamic_batch else torch.split(inputs, 1)
        return torch.cat([joined(self.module(*separated(piece, self.shapes))) for piece in pieces])


class KnownAnswers:
    """A teacher's answers to all samples, which were computed before.

    Args:
        answers: of a model, samples first.
        device: where they are wanted.
    """

    def __init__(self, answers: np.ndarray, device: torch.device) -> None:
        self.answers = answers
        self.device = device

    def __call__(self, positions: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """Answers to the samples at these positions of the data; the inputs are not looked at."""
        return torch.from_numpy(np.asarray(self.answers[positions.cpu().numpy()])).to(self.device)


class Teacher:
    """The model to follow; what it answered once is remembered."""

    def __init__(self, model: LoadedModel, device: torch.device) -> None:
        self.network = Network(plain_copy(model.graph), model).to(device)
        self.answers: dict[int, torch.Tensor] = {}
        self.room = KEPT_BYTES

    @torch.no_grad()
    def __call__(self, positions: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """Answers to these inputs, which are the samples at these positions of the data."""
        known = [self.answers.get(position) for position in positions.tolist()]
        found = [answer for answer in known if answer is not None]
        if len(found) == len(known):
            return torch.stack(found)
        answers: torch.Tensor = self.network(inputs)
        self._remember(positions, answers)
        return answers

    def _remember(self, positions: torch.Tensor, answers: torch.Tensor) -> None:
        for position, answer in zip(positions.tolist(), answers, strict=True):
            if position not in self.answers and answer.nbytes <= self.room:
                self.room -= answer.nbytes
                self.answers[position] = answer.clone()
