"""The same model with other weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from pocketfit.graph.attributes import set_tensor
from pocketfit.graph.running import plain_copy
from pocketfit.models.fingerprint import fingerprint
from pocketfit.types import LoadedModel

__all__ = ["with_weights"]


def with_weights(model: LoadedModel, weights: Mapping[str, torch.Tensor]) -> LoadedModel:
    """A copy of the model with these weights; node names stay, the fingerprint is that of the new weights.

    Args:
        model: the canonical model; left as it is.
        weights: float32 tensors by attribute path, each of the shape of what it replaces; a path that is new is made.
    """
    graph = plain_copy(model.graph)
    for path, weight in weights.items():
        set_tensor(graph, path, weight)
    return replace(model, graph=graph, fingerprint=fingerprint(graph))
