"""Channels removed from a model: ranked, chosen under a budget, taken out, and the rest fitted to make up for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch.fx import GraphModule

from pocketfit.compress.prune.allocate import allocate, at_width
from pocketfit.compress.prune.dependencies import Dependencies, find_dependencies
from pocketfit.compress.prune.obs import rank_by_surgery, reading_slots
from pocketfit.compress.prune.priced import Price, allocate_priced
from pocketfit.compress.prune.ranking import Ranking, rank_by_score
from pocketfit.compress.prune.recipe import ChannelRecipe, Importance
from pocketfit.compress.prune.refit import refit
from pocketfit.compress.prune.remove import masked, removed
from pocketfit.compress.prune.scores import geometric_median, gradient_scores, l1, l2, norm_scale
from pocketfit.compress.prune.statistics import readers
from pocketfit.compress.prune.taylor import gradients
from pocketfit.errors import DataError, ModelError
from pocketfit.graph.base import difference
from pocketfit.models.canonical import canonicalise
from pocketfit.types import LoadedModel

__all__ = ["Layer", "Pruned", "Watcher", "plan_channels", "prune_channels"]

# Sums over fewer terms round differently; a graph that lost the wrong channel is off by far more.
TOLERANCE = 1e-4

Batches = Sequence[np.ndarray]


class Watcher(Protocol):
    """Told of the parts of the work."""

    def __call__(self, part: str, done: int, total: int) -> None:
        """So many of so many steps of a part are done."""
        ...


@dataclass(frozen=True)
class Layer:
    """What became of a group of channels.

    Args:
        name: dotted path, in the user's model, of the first layer that writes them, or its node name.
        before: channels.
        after: channels that stay.
    """

    name: str
    before: int
    after: int


@dataclass(frozen=True)
class Pruned:
    """A smaller model.

    Args:
        model: in canonical form.
        layers: every group of channels that leave together.
        macs_before: multiply-accumulates of one inference.
        macs_after: likewise.
    """

    model: LoadedModel
    layers: tuple[Layer, ...]
    macs_before: int
    macs_after: int


def prune_channels(
    model: LoadedModel,
    recipe: ChannelRecipe,
    batches: Batches = (),
    watcher: Watcher | None = None,
    price: Price | None = None,
) -> Pruned:
    """Remove channels until the budget is met.

    Args:
        model: in canonical form; it is not changed.
        recipe: how.
        batches: unlabelled samples, float32 in the model's layout, batch first. Second order and Taylor need them;
            with any other importance they only serve to fit the layers that are left.
        watcher: told of the progress.
        price: what the budget is about, such as a predicted latency; None for multiply-accumulates.

    Raises:
        DataError: the importance needs samples.
        OptionError: the budget cannot be met, or the model has not what the importance looks at.
        ModelError: the pruned graph does not compute what it should, which is a fault of Pocketfit.
    """
    watcher = watcher or _nobody
    found, kept = _chosen(model, recipe, batches, watcher, price)
    graph = removed(found, kept)
    _prove(found, kept, graph, model)
    if recipe.refit and len(batches):
        refit(found, kept, graph, batches, lambda done, total: watcher("fit", done, total))
    smaller = canonicalise(graph, model.input_shape, name=model.name, source=model.source, preprocess=model.preprocess)
    return Pruned(smaller, _layers(found, kept), *_macs(found, kept))


def plan_channels(
    model: LoadedModel,
    recipe: ChannelRecipe,
    batches: Batches = (),
    watcher: Watcher | None = None,
    price: Price | None = None,
) -> Pruned:
    """What `prune_channels` would do; the model that comes back is the one that was given."""
    found, kept = _chosen(model, recipe, batches, watcher or _nobody, price)
    return Pruned(model, _layers(found, kept), *_macs(found, kept))


def _chosen(
    model: LoadedModel, recipe: ChannelRecipe, batches: Batches, watcher: Watcher, price: Price | None
) -> tuple[Dependencies, torch.Tensor]:
    if recipe.importance.needs_data and not len(batches):
        raise DataError(
            f"the importance {recipe.importance} runs the model on samples, and there are none. Give --data, or choose "
            "l1, l2, geometric-median or norm-scale."
        )
    found = find_dependencies(model)
    rankings = _rankings(model, found, recipe.importance, batches, watcher)
    if recipe.width is not None:
        return found, at_width(found, rankings, recipe.width, recipe.rounding)
    if price is not None:
        return found, allocate_priced(model, found, rankings, recipe, price)
    return found, allocate(found, rankings, recipe.macs, recipe.sharing, recipe.rounding)


def _rankings(
    model: LoadedModel, found: Dependencies, importance: Importance, batches: Batches, watcher: Watcher
) -> list[Ranking]:
    if importance is Importance.OBS:
        return _by_surgery(model, found, batches, watcher)
    if importance is Importance.TAYLOR:
        steps = gradients(model, found, batches, lambda done, total: watcher("gradients", done, total))
        return rank_by_score(found, gradient_scores(found, steps))
    return rank_by_score(found, _SCORES[importance](found))


_SCORES: dict[Importance, Callable[[Dependencies], torch.Tensor]] = {
    Importance.L1: l1,
    Importance.L2: l2,
    Importance.GEOMETRIC_MEDIAN: geometric_median,
    Importance.NORM_SCALE: norm_scale,
}


def _by_surgery(model: LoadedModel, found: Dependencies, batches: Batches, watcher: Watcher) -> list[Ranking]:
    nodes = [slot.node for slot in reading_slots(found)]
    samples = _counted("statistics", sum(len(batch) for batch in batches), watcher)
    statistics = readers(model.graph, nodes, _for_batch(model, batches), samples)
    by_node = {reader.node: reader for reader in statistics}
    return rank_by_surgery(found, by_node, _counted("rank", found.count, watcher))


def _for_batch(model: LoadedModel, batches: Batches) -> Batches:
    """Samples one by one, for a graph that takes no more."""
    return batches if model.dynamic_batch else list(_single(batches))


def _single(batches: Batches) -> Iterator[np.ndarray]:
    for batch in batches:
        yield from np.split(batch, len(batch))


def _counted(part: str, total: int, watcher: Watcher) -> Callable[[int], None]:
    done = 0

    def add(more: int) -> None:
        nonlocal done
        done += more
        watcher(part, done, total)

    return add


def _prove(found: Dependencies, kept: torch.Tensor, graph: GraphModule, model: LoadedModel) -> None:
    """Check that removing the channels is what reading zeros in their place is."""
    rows = torch.randn(1, *model.row_shape, generator=torch.Generator().manual_seed(0))
    error = difference(masked(found, kept), graph, rows)
    if error > TOLERANCE:
        raise ModelError(
            f"Removing channels changed an output by {error:.2g} of its range, against masking them; at most "
            f"{TOLERANCE:.0e} is allowed. This is a fault of Pocketfit: please report it together with the model."
        )


def _layers(found: Dependencies, kept: torch.Tensor) -> tuple[Layer, ...]:
    return tuple(
        Layer(group.name, len(group.units) * group.channels, int(kept[group.units].sum()) * group.channels)
        for group in found.groups
    )


def _macs(found: Dependencies, kept: torch.Tensor) -> tuple[int, int]:
    return round(found.macs(torch.ones_like(kept))), round(found.macs(kept))


def _nobody(part: str, done: int, total: int) -> None:
    pass
