"""How many units each group keeps, under a budget of multiply-accumulates or of what layers cost otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from math import gcd

import numpy as np
import torch

from pocketfit.compress.prune.coupling import compact
from pocketfit.compress.prune.dependencies import NOT_A_UNIT, Dependencies
from pocketfit.compress.prune.ranking import Ranking
from pocketfit.errors import OptionError

__all__ = ["Allocation", "allocate", "at_width", "least_share"]

# Steps that are looked ahead: a first one may cost more than the mean of two.
AHEAD = 4


class Allocation(StrEnum):
    """UNIFORM: the same ratio in every group. GLOBAL: where what is saved is missed least."""

    UNIFORM = "uniform"
    GLOBAL = "global"


def allocate(
    found: Dependencies,
    rankings: Sequence[Ranking],
    budget: float,
    allocation: Allocation,
    round_to: int,
    prices: Mapping[str, float] | None = None,
) -> torch.Tensor:
    """Choose the units that stay.

    Args:
        found: the model's channels.
        rankings: one for each group.
        budget: cost at most, as a share of the model's own, 0..1.
        allocation: how the groups share the burden.
        round_to: what the number of channels that stay in a group is a multiple of.
        prices: cost of each node by its name, taken to fall as its channels do; None for its multiply-accumulates.

    Returns:
        A bool for each unit.

    Raises:
        OptionError: the budget cannot be met.
    """
    counts = _Counts(found, prices)
    choices = [_choices(len(ranking.order), ranking.group.channels, round_to) for ranking in rankings]
    _check_reachable(counts, choices, budget, round_to)
    pick = _uniform if allocation is Allocation.UNIFORM else _global
    limit = budget * float(counts.cost(counts.full))
    left = pick(counts, rankings, choices, limit)
    kept = torch.ones(found.count, dtype=torch.bool)
    for ranking, number in zip(rankings, left, strict=True):
        kept[ranking.order[: len(ranking.order) - int(number)]] = False
    return kept


def least_share(
    found: Dependencies, rankings: Sequence[Ranking], round_to: int, prices: Mapping[str, float] | None = None
) -> float:
    """The share of its cost that a model keeps when every group has one step of channels left; as for `allocate`."""
    counts = _Counts(found, prices)
    choices = [_choices(len(ranking.order), ranking.group.channels, round_to) for ranking in rankings]
    _check_prunable(counts)
    return _least(counts, choices)


def at_width(found: Dependencies, rankings: Sequence[Ranking], width: float, round_to: int) -> torch.Tensor:
    """Keep the same share of every group's channels, as the width multiplier of MobileNets does.

    Args:
        found: the model's channels.
        rankings: one for each group.
        width: the share, above 0 and below 1; of each group the nearest number that rounding allows, at least one step.
        round_to: what the number of channels that stay in a group is a multiple of.

    Returns:
        A bool for each unit.

    Source: Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications", 2017,
        section 3.3.
    """
    kept = torch.ones(found.count, dtype=torch.bool)
    for ranking in rankings:
        number = _at_most(_choices(len(ranking.order), ranking.group.channels, round_to), width)
        kept[ranking.order[: len(ranking.order) - number]] = False
    return kept


class _Counts:
    """Cost as a function of how many units each group keeps."""

    def __init__(self, found: Dependencies, prices: Mapping[str, float] | None) -> None:
        self.unit = "multiply-accumulates" if prices is None else "cost"
        priced = [(cost.macs if prices is None else prices.get(cost.node, 0.0), cost.axes) for cost in found.costs]
        changing = [(price, axes) for price, axes in priced if price and axes]
        axes = [axis for _, own in changing for axis in own]
        self.full = np.array([len(group.units) for group in found.groups], float)
        self.sizes = np.array([axis.numel() for axis in axes], float)
        self.fixed = np.array([int((axis == NOT_A_UNIT).sum()) for axis in axes], float)
        self.times = np.array([[_times(axis, int(group.units[0])) for group in found.groups] for axis in axes], float)
        self.weights = np.array([price for price, _ in changing], float)
        self.starts = np.cumsum([0, *(len(own) for _, own in changing)][:-1])
        self.constant = float(sum(price for price, own in priced if not own))

    def cost(self, kept: np.ndarray) -> np.ndarray:
        """Cost for (… × groups) numbers of units."""
        shares = (self.fixed + kept @ self.times.T) / self.sizes
        total: np.ndarray = np.multiply.reduceat(shares, self.starts, axis=-1) @ self.weights + self.constant
        return total


def _times(axis: torch.Tensor, unit: int) -> int:
    return int((compact(axis) == unit).sum())


def _choices(units: int, channels: int, round_to: int) -> np.ndarray:
    """Numbers of units that may stay, the largest first; always all of them."""
    step = round_to // gcd(round_to, channels)
    return np.array([units, *range((units - 1) // step * step, 0, -step)])


def _check_prunable(counts: _Counts) -> None:
    if not len(counts.full):
        raise OptionError(
            "no channel of this model can leave: each one goes through an op that mixes all channels, or into the "
            "output. Zero weights instead, with --sparsity."
        )


def _least(counts: _Counts, choices: Sequence[np.ndarray]) -> float:
    return float(counts.cost(np.array([choice[-1] for choice in choices], float)) / counts.cost(counts.full))


def _check_reachable(counts: _Counts, choices: Sequence[np.ndarray], budget: float, round_to: int) -> None:
    _check_prunable(counts)
    least = _least(counts, choices)
    if budget < least:
        raise OptionError(
            f"{budget:.0%} of the {counts.unit} cannot be reached: with one step of {round_to} channels left in "
            f"every layer that can be pruned, {least:.1%} remain. Ask for more, or round to fewer channels."
        )


def _uniform(counts: _Counts, rankings: Sequence[Ranking], choices: Sequence[np.ndarray], budget: float) -> np.ndarray:
    """The largest share of units that fits, the same for every group."""
    for share in np.linspace(1, 0, 1001):
        left = np.array([_at_most(choice, share) for choice in choices], float)
        if counts.cost(left) <= budget:
            return left
    raise AssertionError("the least of all choices fits, which was checked")


def _at_most(choice: np.ndarray, share: float) -> int:
    """The nearest number of units to that share of all."""
    return int(choice[np.abs(choice - share * choice[0]).argmin()])


def _global(counts: _Counts, rankings: Sequence[Ranking], choices: Sequence[np.ndarray], budget: float) -> np.ndarray:
    """Again and again the step that loses least for what it saves."""
    losses = [
        ranking.loss.numpy()[len(ranking.order) - choice] for ranking, choice in zip(rankings, choices, strict=True)
    ]
    place = np.zeros(len(choices), int)
    left = counts.full.copy()
    now = float(counts.cost(left))
    while now > budget:
        options = [
            (group, ahead)
            for group, choice in enumerate(choices)
            for ahead in range(place[group] + 1, min(place[group] + 1 + AHEAD, len(choice)))
        ]
        tried = np.repeat(left[None], len(options), 0)
        for row, (group, ahead) in enumerate(options):
            tried[row, group] = choices[group][ahead]
        saved = now - counts.cost(tried)
        missed = np.array([losses[group][ahead] - losses[group][place[group]] for group, ahead in options])
        best = int(np.argmin(missed / np.maximum(saved, 1e-9)))
        group, place_ = options[best]
        place[group], left = place_, tried[best]
        now = float(counts.cost(left))
    return _given_back(counts, losses, choices, place, budget)


def _given_back(
    counts: _Counts, losses: Sequence[np.ndarray], choices: Sequence[np.ndarray], place: np.ndarray, budget: float
) -> np.ndarray:
    """The last step may have saved more than was needed: what the budget has room for comes back, the dearest first."""
    left = np.array([choice[at] for choice, at in zip(choices, place, strict=True)], float)
    while True:
        options = []
        for group in np.flatnonzero(place).tolist():
            wider = left.copy()
            wider[group] = choices[group][place[group] - 1]
            if counts.cost(wider) <= budget:
                options.append((losses[group][place[group]] - losses[group][place[group] - 1], group))
        if not options:
            return left
        _, group = max(options)
        place[group] -= 1
        left[group] = choices[group][place[group]]
