"""The graph that learns and the graph it learns from, each as a module from a batch to its answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from pocketfit.compress.training.samples import TrainingSet
from pocketfit.compress.training.taps import tap, watched
from pocketfit.graph.running import joined, plain_copy, separated
from pocketfit.types import LoadedModel, Samples

__all__ = ["KnownAnswers", "Network", "Seen", "Teacher"]

# Answers of a batch, and what the watched layers gave, each with the samples first.
Seen = tuple[torch.Tensor, list[torch.Tensor]]

# A teacher's answers are kept up to here: they are the same in every epoch.
KEPT_BYTES = 2**28


class Network(nn.Module):
    """A module that takes a batch even where it was exported for one sample, and returns its outputs as one tensor.

    Args:
        module: what is run.
        model: its canonical form.
        layers: paths of submodules whose features are returned, too.
    """

    def __init__(self, module: nn.Module, model: LoadedModel, layers: Sequence[str] = ()) -> None:
        super().__init__()
        self.module, self.layers = module, layers
        self.dynamic_batch, self.shapes = model.dynamic_batch, [given.shape[1:] for given in model.inputs]

    def forward(self, inputs: torch.Tensor) -> Seen:
        """Answers of a batch, and features in the order of the layers."""
        pieces = [self._seen(piece) for piece in ([inputs] if self.dynamic_batch else torch.split(inputs, 1))]
        answers, features = zip(*pieces, strict=True)
        return torch.cat(answers), [torch.cat(parts) for parts in zip(*features, strict=True)]

    def _seen(self, piece: torch.Tensor) -> Seen:
        with watched(self.module, self.layers) as found:
            answers = joined(self.module(*separated(piece, self.shapes)))
        return answers, [found[name] for name in self.layers]


class KnownAnswers:
    """A teacher's answers to all samples, which were computed before.

    Args:
        answers: of a model, samples first.
        device: where they are wanted.
    """

    def __init__(self, answers: np.ndarray, device: torch.device) -> None:
        self.answers = answers
        self.device = device

    def __call__(self, positions: torch.Tensor, inputs: torch.Tensor) -> Seen:
        """Answers to the samples at these positions of the data; the inputs are not looked at."""
        return torch.from_numpy(np.asarray(self.answers[positions.cpu().numpy()])).to(self.device), []


class Teacher:
    """The model to follow; what it answered once is remembered, unless its features are wanted: they are too many.

    Args:
        model: in canonical form.
        device: where it runs.
        samples: all of them, as it takes them, at the same positions; None where it takes what the student does.
        layers: of its graph, whose features are wanted.
    """

    def __init__(
        self, model: LoadedModel, device: torch.device, samples: Samples | None = None, layers: Sequence[str] = ()
    ) -> None:
        graph = plain_copy(model.graph)
        self.network = Network(graph, model, tap(graph, layers)).to(device)
        self.samples = None if samples is None else TrainingSet(samples)
        self.device = device
        self.answers: dict[int, torch.Tensor] = {}
        self.room = 0 if layers else KEPT_BYTES

    @torch.no_grad()
    def __call__(self, positions: torch.Tensor, inputs: torch.Tensor) -> Seen:
        """Answers and features of these inputs, which are the student's samples at these positions of the data."""
        known = [self.answers.get(position) for position in positions.tolist()]
        found = [answer for answer in known if answer is not None]
        if len(found) == len(known):
            return torch.stack(found), []
        seen: Seen = self.network(self._own(positions, inputs))
        self._remember(positions, seen[0])
        return seen

    def _own(self, positions: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        if self.samples is None:
            return inputs
        _, own, _ = self.samples.__getitems__(positions.tolist())
        return own.to(self.device)

    def _remember(self, positions: torch.Tensor, answers: torch.Tensor) -> None:
        for position, answer in zip(positions.tolist(), answers, strict=True):
            if position not in self.answers and answer.nbytes <= self.room:
                self.room -= answer.nbytes
                self.answers[position] = answer.clone()
