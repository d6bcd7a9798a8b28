"""The networks of a space that no other one beats in both accuracy and cost.

The search is Optuna's NSGA-II over the numbers that make an architecture. What a candidate costs is known first, and
one that is too dear is never run. Every result is stored as it comes: a search that was killed goes on from there.

Source: Deb et al., "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", 2002.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from pocketfit.errors import OptionError, RuntimeMissing
from pocketfit.nas.architecture import Architecture, Space
from pocketfit.nas.cost import Cost
from pocketfit.verify.metrics import TOP_1

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

__all__ = ["Found", "Judge", "accuracy_of", "find"]

# From a network to its accuracy in percent.
Judge = Callable[[Architecture], float]

POPULATION = 16


@dataclass(frozen=True)
class Found:
    """A network and what is known of it.

    Args:
        architecture: which.
        accuracy: in percent, on the samples that the search judges by.
        cost: in the unit of the cost that was asked for.
    """

    architecture: Architecture
    accuracy: float
    cost: float


def find(
    space: Space,
    judge: Judge,
    cost: Cost,
    trials: int,
    *,
    storage: Path | None = None,
    study: str = "nas",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Found, ...]:
    """Search, and give what is best for its cost.

    Args:
        space: of the networks.
        judge: from a network to its accuracy in percent.
        cost: what it costs, and how much it may.
        trials: how many networks are looked at, those of an earlier search in `storage` included.
        storage: SQLite file for the results; None to keep them in memory.
        study: name in the storage; searches of other spaces, weights or costs have other names.
        progress: called with (done, trials) after each.

    Returns:
        The Pareto front among those that are cheap enough, the cheapest first.

    Raises:
        OptionError: no network that was looked at is cheap enough.
        RuntimeMissing: Optuna is not installed.
    """
    made = _study(storage, study)
    # Numbers of blocks that are left out make different proposals of one network.
    price_of, judged = cache(cost.of), cache(judge)

    def objective(trial: Trial) -> tuple[float, float]:
        architecture = space.chosen(lambda name, allowed: int(trial.suggest_categorical(name, allowed)))
        price = price_of(architecture)
        trial.set_user_attr("over", 0.0 if cost.limit is None else price - cost.limit)
        dear = cost.limit is not None and price > cost.limit
        return (0.0 if dear else judged(architecture)), price

    def told(study: Study, trial: FrozenTrial) -> None:
        if progress is not None:
            progress(min(len(study.trials), trials), trials)

    _begin_with(made, space)
    made.optimize(objective, n_trials=max(0, trials - _finished(made)), callbacks=[told])
    return _front(made, space, cost)


def accuracy_of(net: nn.Module, batches: Sequence[np.ndarray], labels: np.ndarray) -> float:
    """Share of the samples, in percent, whose largest answer is their class's."""
    with torch.no_grad():
        answers = torch.cat([net(torch.from_numpy(batch)) for batch in batches])
    return TOP_1.score([answers.numpy()], labels)


def _study(storage: Path | None, name: str) -> Study:
    try:
        import optuna
    except ImportError as error:
        raise RuntimeMissing(
            'A search needs Optuna, not installed here. To add it: pip install "pocketfit[search]"'
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constraints are called experimental
        sampler = optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=0, constraints_func=_constraints)
    return optuna.create_study(
        storage=None if storage is None else f"sqlite:///{storage}",
        study_name=name,
        directions=["maximize", "minimize"],
        sampler=sampler,
        load_if_exists=True,
    )


def _constraints(trial: FrozenTrial) -> tuple[float]:
    return (float(trial.user_attrs.get("over", 0.0)),)


def _begin_with(study: Study, space: Space) -> None:
    """The two ends of the space are looked at in any case."""
    if study.trials:
        return
    for end in (0, -1):
        asked: dict[str, Any] = {}

        def note(name: str, allowed: Sequence[int], end: int = end, asked: dict[str, Any] = asked) -> int:
            asked[name] = allowed[end]
            return allowed[end]

        space.chosen(note)
        study.enqueue_trial(asked)


def _finished(study: Study) -> int:
    return sum(trial.state.is_finished() for trial in study.trials)


def _front(study: Study, space: Space, cost: Cost) -> tuple[Found, ...]:
    found = {
        str(one.architecture): one
        for trial in study.trials
        if trial.values is not None
        for one in [_found(trial, space)]
        if cost.limit is None or one.cost <= cost.limit
    }
    if not found:
        cheapest = min(trial.values[1] for trial in study.trials if trial.values is not None)
        raise OptionError(
            f"None of {len(study.trials)} networks costs at most {cost.limit:g} {cost.name}; the cheapest costs "
            f"{cheapest:g}. Allow more, or give a smaller --width."
        )
    ordered = sorted(found.values(), key=lambda one: (one.cost, -one.accuracy))
    best, front = -1.0, []
    for one in ordered:
        if one.accuracy > best:
            best = one.accuracy
            front.append(one)
    return tuple(front)


def _found(trial: FrozenTrial, space: Space) -> Found:
    accuracy, price = trial.values
    return Found(space.chosen(lambda name, _: int(trial.params[name])), accuracy, price)
