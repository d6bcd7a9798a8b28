"""Importance of each unit from weights alone, or from a gradient.

L1 and L2: the norm of the filters that write the unit. Geometric median: how far its filters are from all others of
their layer; one that others can stand for may leave. Norm scale: the scale of the batch normalisation behind the
filters, which folding remembers. Taylor: (Σ g·w)², the first-order estimate of what the loss gains without it.

Sources: L1, Li et al. 2017, "Pruning filters for efficient ConvNets"; norm scale, Liu et al. 2017, "Learning efficient
convolutional networks through network slimming"; geometric median, He et al. 2019, "Filter pruning via geometric median
for deep convolutional neural networks acceleration", eq. 7; Taylor, Molchanov et al. 2019, "Importance estimation for
neural network pruning", eq. 8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from pocketfit.compress.prune.dependencies import NOT_A_UNIT, Dependencies
from pocketfit.compress.prune.trace import Role, Slot
from pocketfit.errors import OptionError
from pocketfit.graph.attributes import get_tensor
from pocketfit.graph.norm_statistics import norm_statistics

__all__ = ["geometric_median", "gradient_scores", "l1", "l2", "norm_scale", "written_rows"]


def l1(found: Dependencies) -> torch.Tensor:
    """Sum of the absolute weights that write a unit."""
    return _gathered(found, lambda rows: rows.abs().sum(1))


def l2(found: Dependencies) -> torch.Tensor:
    """Root of the summed squares of the weights that write a unit."""
    return _gathered(found, lambda rows: rows.square().sum(1)).sqrt()


def geometric_median(found: Dependencies) -> torch.Tensor:
    """Summed distance of a unit's filters to all filters of their layer."""
    return _gathered(found, lambda rows: torch.cdist(rows, rows).sum(1))


def norm_scale(found: Dependencies) -> torch.Tensor:
    """Absolute scale of the batch normalisation that was folded into the layers that write a unit.

    Raises:
        OptionError: no layer remembers one.
    """
    scores = torch.zeros(found.count, dtype=torch.float64)
    counted = torch.zeros(found.count, dtype=torch.bool)
    for slot in _writers(found):
        statistics = norm_statistics(slot.node)
        if statistics is not None:
            _add(scores, slot.labels, statistics.std.double())
            counted[slot.labels[slot.labels != NOT_A_UNIT]] = True
    if not counted.any():
        raise OptionError(
            "this model has no batch normalisation behind its layers, so its channels have no scale. Choose another "
            "importance: obs, taylor, l1, l2 or geometric-median."
        )
    # Layers without one are as important as the average, rather than worthless.
    scores[~counted] = scores[counted].mean()
    return scores


def gradient_scores(found: Dependencies, gradients: Iterator[dict[str, torch.Tensor]]) -> torch.Tensor:
    """First-order Taylor scores.

    Args:
        found: the model's channels.
        gradients: of the loss of each batch, by attribute path of the weight.
    """
    scores = torch.zeros(found.count, dtype=torch.float64)
    for batch in gradients:
        change = torch.zeros(found.count, dtype=torch.float64)
        for slot in _writers(found):
            rows = written_rows(slot, get_tensor(found.graph, slot.path) * batch[slot.path])
            _add(change, slot.labels, rows.double().sum(1))
        scores += change.square()
    return scores


def written_rows(slot: Slot, weight: torch.Tensor) -> torch.Tensor:
    """A weight as one row for each position of the slot's axis."""
    return weight.movedim(slot.axis, 0).flatten(1)


def _gathered(found: Dependencies, score: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    scores = torch.zeros(found.count, dtype=torch.float64)
    for slot in _writers(found):
        rows = written_rows(slot, get_tensor(found.graph, slot.path)).double()
        _add(scores, slot.labels, score(rows))
    return scores


def _writers(found: Dependencies) -> Iterator[Slot]:
    """Weights whose rows make up the channels: those of writing layers, each once, and of depthwise ones."""
    seen = set()
    for slot in found.slots:
        wide = get_tensor(found.graph, slot.path).dim() > 1
        if slot.role is not Role.READS and wide and (slot.path, slot.axis) not in seen:
            seen.add((slot.path, slot.axis))
            yield slot


def _add(scores: torch.Tensor, units: torch.Tensor, values: torch.Tensor) -> None:
    there = units != NOT_A_UNIT
    scores.index_add_(0, units[there], values[there])
