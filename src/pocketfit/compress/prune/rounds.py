"""Pruning in rounds, with a training after each: every round looks at the network as the last one left it.

The budget falls geometrically, so that each round takes the same share of what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pocketfit.compress.distill.distill import distill
from pocketfit.compress.distill.recipe import DistillationRecipe
from pocketfit.compress.prune.channels import Layer, Pruned, Watcher, prune_channels
from pocketfit.compress.prune.priced import Price, total
from pocketfit.compress.prune.recipe import ChannelRecipe
from pocketfit.compress.training.loop import Learn, Step, learn
from pocketfit.errors import OptionError
from pocketfit.types import LoadedModel, Samples

__all__ = ["Schedule", "prune_in_rounds"]


@dataclass(frozen=True)
class Schedule:
    """How pruning and training take turns.

    Args:
        rounds: at least 1.
        training: after each round; None for none.
        learn: where the training takes place.

    Raises:
        OptionError: there is no round.
    """

    rounds: int = 1
    training: DistillationRecipe | None = None
    learn: Learn = learn

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise OptionError(f"{self.rounds} rounds of pruning are not possible. Give 1 or more.")


def prune_in_rounds(
    model: LoadedModel,
    recipe: ChannelRecipe,
    schedule: Schedule,
    batches: Sequence[np.ndarray] = (),
    samples: Samples | None = None,
    watcher: Watcher | None = None,
    price: Price | None = None,
) -> Pruned:
    """Remove channels step by step; the model as it was given teaches every training.

    Args:
        model: in canonical form; it is not changed.
        recipe: how channels are removed; its budget is that of the last round.
        schedule: how pruning and training take turns.
        batches: as for `prune_channels`.
        samples: to train with, labelled or not; needed where the schedule trains.
        watcher: told of the progress.
        price: as for `prune_channels`.

    Raises:
        PocketfitError: of every kind that `prune_channels` and `distill` have.
    """
    if recipe.width is not None:
        recipe = replace(recipe, width=recipe.width ** (1 / schedule.rounds))
    done: list[Pruned] = []
    for number in range(1, schedule.rounds + 1):
        current = done[-1].model if done else model
        share = recipe.macs ** (number / schedule.rounds)
        if done:
            share /= _left(model, done, price)
        # Rounding of channels may have gone further than asked.
        if share < 1 or recipe.width is not None:
            step = replace(recipe, macs=share) if recipe.width is None else recipe
            pruned = prune_channels(current, step, batches, watcher, price)
            done.append(_trained(pruned, model, schedule, samples, watcher))
    return Pruned(done[-1].model, _layers(done[0], done[-1]), done[0].macs_before, done[-1].macs_after)


def _left(model: LoadedModel, done: Sequence[Pruned], price: Price | None) -> float:
    """What the rounds so far have left of what the budget is about."""
    if price is None:
        return done[-1].macs_after / done[0].macs_before
    return total(price, done[-1].model) / total(price, model)


def _trained(
    pruned: Pruned,
    teacher: LoadedModel,
    schedule: Schedule,
    samples: Samples | None,
    watcher: Watcher | None,
) -> Pruned:
    if schedule.training is None or samples is None:
        return pruned
    taught = distill(pruned.model, teacher, samples, schedule.training, progress=_told(watcher), learn=schedule.learn)
    return replace(pruned, model=taught.model)


def _told(watcher: Watcher | None) -> Callable[[Step], None] | None:
    return None if watcher is None else lambda step: watcher("train", step.number, step.steps)


def _layers(first: Pruned, last: Pruned) -> tuple[Layer, ...]:
    """From what a group had at first to what it has in the end; names of layers outlive a round."""
    before = {layer.name: layer.before for layer in first.layers}
    return tuple(replace(layer, before=before.get(layer.name, layer.before)) for layer in last.layers)
