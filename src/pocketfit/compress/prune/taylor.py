"""Gradients of the weights on unlabelled samples, for the first-order score."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from pocketfit.compress.prune.dependencies import Dependencies
from pocketfit.compress.prune.statistics import loss_of_own_answers
from pocketfit.graph.running import arguments, joined, plain_copy
from pocketfit.types import LoadedModel

__all__ = ["gradients"]

# Samples a gradient is the mean of; the score is a mean of squares over gradients.
SAMPLES = 16


def gradients(
    model: LoadedModel, found: Dependencies, batches: Sequence[np.ndarray], progress: Callable[[int, int], None]
) -> Iterator[dict[str, torch.Tensor]]:
    """The gradient of each few samples' loss, by attribute path of the weights that channels occur in.

    The loss is the likelihood of labels drawn from the model's own answers: no labels are needed, and a well-trained
    model's gradient on its own best answers would be nearly zero.
    """
    graph = plain_copy(model.graph)
    weights = {slot.path: graph.get_parameter(slot.path).requires_grad_() for slot in found.slots}
    generator = torch.Generator().manual_seed(0)
    size = SAMPLES if model.dynamic_batch else 1
    pieces = [batch[start : start + size] for batch in batches for start in range(0, len(batch), size)]
    for done, piece in enumerate(pieces, 1):
        with torch.enable_grad():
            loss = loss_of_own_answers(joined(graph(*arguments(graph, torch.from_numpy(piece)))), generator)
            found_gradients = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
        yield {
            path: torch.zeros_like(weight) if gradient is None else gradient
            for (path, weight), gradient in zip(weights.items(), found_gradients, strict=True)
        }
        progress(done, len(pieces))
