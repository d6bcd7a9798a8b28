"""Units chosen under a budget of something else than multiply-accumulates, such as a predicted latency.

Which layers to narrow is decided as if a layer's price fell as its channels do. What the smaller model really costs is
asked afterwards, and the budget of the decision corrected until the model fits: kernels like some numbers of channels
better than others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from pocketfit.compress.prune.allocate import allocate
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
    share, spent = recipe.macs, 1.0
    fitting: dict[float, torch.Tensor] = {}
    for _ in range(TRIES):
        kept = allocate(found, rankings, share, recipe.sharing, recipe.round_to, prices)
        smaller = canonicalise(removed(found, kept), model.input_shape, name=model.name)
        spent = total(price, smaller) / before
        if spent <= recipe.macs:
            fitting[spent] = kept
        if CLOSE * recipe.macs <= spent <= recipe.macs:
            break
        # Never all of it: something is to leave, however cheap it turned out.
        share = min(share * CLOSE * recipe.macs / spent, (1 + share) / 2)
    if not fitting:
        raise OptionError(
            f"{recipe.macs:.0%} of the cost was not reached in {TRIES} tries: the last left {spent:.1%}. "
            "Ask for more, or round to fewer channels."
        )
    return fitting[max(fitting)]


def total(price: Price, model: LoadedModel) -> float:
    """What a whole model costs."""
    return sum(price(model).values())
