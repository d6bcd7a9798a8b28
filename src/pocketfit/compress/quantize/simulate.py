"""The plan run in torch: what every runtime's output is compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch

from pocketfit.compress.quantize.lower import Activations, lower
from pocketfit.types import LoadedModel, QuantizationPlan, Scheme

__all__ = ["simulate"]


def simulate(
    model: LoadedModel,
    plan: QuantizationPlan,
    scheme: Scheme,
    batches: Iterable[np.ndarray],
    progress: Callable[[int], None] | None = None,
) -> np.ndarray:
    """Outputs of the model under the plan.

    Args:
        model: the canonical float model.
        plan: float32, float16 or INT8.
        scheme: how INT8 activations are expressed; float plans ignore it.
        batches: float32 arrays in the model's layout, batch first.
        progress: called with the number of samples of each finished batch.

    Returns:
        float32 array, samples first.
    """
    graph = lower(model.graph, plan, Activations.SYMMETRIC if scheme is Scheme.SYMMETRIC else Activations.UNSIGNED)
    outputs = []
    with torch.no_grad():
        for batch in batches:
            result = graph(torch.from_numpy(batch))
            outputs.append(_first(result).float().numpy())
            if progress is not None:
                progress(len(batch))
    return np.concatenate(outputs)


def _first(result: object) -> torch.Tensor:
    while isinstance(result, list | tuple):
        result = result[0]
    assert isinstance(result, torch.Tensor)
    return result
