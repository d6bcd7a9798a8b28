"""In which order the units of a group may leave, and what it costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from pocketfit.compress.prune.dependencies import Dependencies, Group

__all__ = ["Ranking", "rank_by_score"]


@dataclass(frozen=True)
class Ranking:
    """Of one group.

    Args:
        group: whose units.
        order: the units, the least important first.
        loss: float64; what leaving the first 0, 1, 2, … of them costs, in a unit that all groups of a model share.
    """

    group: Group
    order: torch.Tensor
    loss: torch.Tensor


def rank_by_score(found: Dependencies, scores: torch.Tensor) -> list[Ranking]:
    """Rank the units of every group by one score each, float64, the larger the more important.

    A group's scores are divided by their mean: weights of different layers have different sizes, and what a layer
    loses is a share of what it has (the normalisation of the torch-pruning toolkit).
    """
    return list(_rankings(found.groups, scores.double()))


def _rankings(groups: Iterable[Group], scores: torch.Tensor) -> Iterable[Ranking]:
    for group in groups:
        own = scores[group.units]
        own = own / own.mean().clamp_min(torch.finfo(torch.float64).tiny)
        order = own.argsort(stable=True)
        yield Ranking(group, group.units[order], torch.cat([own.new_zeros(1), own[order].cumsum(0)]))
