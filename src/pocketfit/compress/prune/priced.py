"""Units chosen under a budget of something else than multiply-accumulates, such as a predicted latency.

Which layers to narrow is decided as if a layer's price fell as its channels do. What the smaller model really costs is
asked afterwards, and the budget of the decision corrected until the model fits: kernels like some numbers of channels
better than others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from pocketfit.compress.prune.allocate import allocate, least_share
from pocketfit.compress.prune.dependencies import Dependencies
from pocketfit.compress.prune.ranking import Ranking
from pocketfit.compress.prune.recipe import ChannelRecipe
from pocketfit.compress.prune.remove import removed
from pocketfit.errors import OptionError
from pocketfit.models.canonical import canonicalise
from pocketfit.types import LoadedModel

__all__ = ["Price", "allocate_priced", "total"]

# What each node of a model costs, by its name.
Price = Callable[[LoadedModel], Mapping[str, float]]

TRIES = 8
# Of the budget; what is closer is not worth another try.
CLOSE = 0.98


def allocate_priced(
    model: LoadedModel, found: Dependencies, rankings: Sequence[Ranking], recipe: ChannelRecipe, price: Price
) -> torch.Tensor:
    """Choose the units that stay.

    Args:
        model: in canonical form.
        found: its channels.
        rankings: one for each group.
        recipe: its `macs` is the share of the model's price that may stay.
        price: of a model's nodes.

    Returns:
        A bool for each unit.

    Raises:
        OptionError: the budget cannot be met.
    """
    prices = price(model)
    before = sum(prices.values())
    least = least_share(found, rankings, recipe.rounding, prices)
    search = _Search(max(recipe.macs, least), least)
    spent = 1.0
    fitting: dict[float, torch.Tensor] = {}
    for _ in range(TRIES):
        kept = allocate(found, rankings, search.share, recipe.sharing, recipe.rounding, prices)
        smaller = canonicalise(removed(found, kept), model.input_shape, name=model.name)
        spent = total(price, smaller) / before
        if spent <= recipe.macs:
            fitting[spent] = kept
        close = CLOSE * recipe.macs <= spent <= recipe.macs
        if close or not search.go_on(CLOSE * recipe.macs / spent, fits=spent <= recipe.macs):
            break
    if not fitting:
        raise OptionError(
            f"{recipe.macs:.0%} of the cost cannot be reached: with one step of {recipe.rounding} channels left in "
            f"every layer that can be pruned, {spent:.1%} remain. Ask for more, or round to fewer channels."
        )
    return fitting[max(fitting)]


@dataclass
class _Search:
    """For the largest budget with which what is decided really fits.

    Args:
        share: to try.
        least: below which there is nothing to decide.
        fits: the largest that did; None if none did.
        high: the smallest that did not; 1 if all did.
        number: of tries so far.
    """

    share: float
    least: float
    fits: float | None = None
    high: float = 1.0
    number: int = 0

    def go_on(self, correction: float, *, fits: bool) -> bool:
        """Set the next share; false if none is left.

        Args:
            correction: how many times as much the model might cost as it does with the last share.
            fits: whether that was little enough.
        """
        self.number += 1
        if fits:
            self.fits = self.share
        elif self.share == self.least:
            return False
        else:
            self.high = self.share
        corrected = self.share * correction
        if self.fits is None:
            # What costs the same with any number of channels hides how far there is to go: each step is larger. The
            # last one is to the smallest model of all.
            last = self.number == TRIES - 1
            self.share = self.least if last else max(self.least, self.share * correction**self.number)
        elif self.high < 1:
            self.share = corrected if self.fits < corrected < self.high else (self.fits + self.high) / 2
        else:
            # Never all of it: something is to leave, however cheap it turned out.
            self.share = min(corrected, (1 + self.share) / 2)
        return True


def total(price: Price, model: LoadedModel) -> float:
    """What a whole model costs."""
    return sum(price(model).values())
