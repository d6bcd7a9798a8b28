"""What a rewrite of the weights owes: the model computes what it computed."""

from __future__ import annotations

import torch

from pocketfit.errors import ModelError
from pocketfit.graph.base import difference
from pocketfit.types import LoadedModel

__all__ = ["prove_same"]

# As for folding a batch normalisation: every layer rounds differently once a factor is inside its weight.
TOLERANCE = 1e-4


def prove_same(before: LoadedModel, after: LoadedModel, method: str) -> None:
    """Compare the answers of two models to random inputs.

    Args:
        before: the model that was rewritten.
        after: what became of it.
        method: how the message calls the rewrite.

    Raises:
        ModelError: an answer differs by more than `TOLERANCE` of the answers' range.
    """
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(2 if before.dynamic_batch else 1, *before.row_shape, generator=generator)
    error = difference(before.graph, after.graph, rows)
    if error > TOLERANCE:
        raise ModelError(
            f"{method} changed the output of {before.name} by {error:.2g} of its range; at most {TOLERANCE:.0e} is "
            "allowed. This is a fault of Pocketfit: please report it together with the model, and leave the method out."
        )
