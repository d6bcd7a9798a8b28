"""Speeds of many runs at once: what all have in common, what their traits explain, and what is their own.

The logarithm of the time that a unit of a kind takes on a run is the sum of a prior, a part common to all runs, one
that follows from the run's traits, and one of its own, each held small by a normal prior: ridge regression in levels,
so that a run with few measurements, or a kind that few networks have, falls back to what is known of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pocketfit.devices.predict.kinds import KINDS, Kind

__all__ = ["Fitted", "fit"]

# Standard deviations of the parts, in logarithms. "network": what it takes beyond its kinds of work on all. That one is
# small on purpose: a network that can have a level of its own says nothing about kinds of work.
DEVIATIONS = {
    "kind": 0.5,
    "group": 2.0,
    "trait_kind": 0.5,
    "trait_group": 0.7,
    "run_kind": 0.15,
    "run_group": 0.5,
    "int8": 0.5,
    "trait_int8": 0.5,
    "run_int8": 0.3,
    "network": 0.02,
}
NOISE = 0.1
# Beyond this, an error counts by its size and not by its square: single rows of the table are off by a factor.
HUBER = 0.15
ITERATIONS = 200

# Keeps the logarithm finite for networks without any work of a kind.
_NEXT_TO_NOTHING = 1e-9


class _Kinds:
    """What is known of kinds of work before anything was measured."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        groups = tuple(dict.fromkeys(kind.group for kind in kinds))
        self.in_group = _tensor([[kind.group == group for kind in kinds] for group in groups])
        self.int8 = _tensor([kind.int8 for kind in kinds])
        self.prior = _tensor([kind.prior_us for kind in kinds]).log()


def _tensor(values: Sequence[object]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@dataclass(frozen=True)
class Fitted:
    """Speeds of every run.

    Args:
        common: logarithms of microseconds a unit, kinds, without the level of a run.
        by_trait: how they change with the traits, traits × kinds.
        own: of each run, runs × kinds.
        level: of each run, runs.
        int8: what INT8 adds, kinds.
        int8_by_trait: traits × kinds.
        int8_own: of each run, runs × kinds.
    """

    common: np.ndarray
    by_trait: np.ndarray
    own: np.ndarray
    level: np.ndarray
    int8: np.ndarray
    int8_by_trait: np.ndarray
    int8_own: np.ndarray

    def expected(self, traits: np.ndarray, *, int8: bool) -> np.ndarray:
        """Speeds of a run that was not measured, without its level: kinds."""
        more = self.int8 + traits @ self.int8_by_trait if int8 else 0.0
        return self.common + traits @ self.by_trait + more

    def of_run(self, run: int, traits: np.ndarray, *, int8: bool) -> np.ndarray:
        """Speeds of a run that was measured: kinds."""
        more = self.int8_own[run] if int8 else 0.0
        return self.expected(traits, int8=int8) + self.own[run] + self.level[run] + more

    def predicted(self, amounts: np.ndarray, int8: np.ndarray, traits: np.ndarray) -> np.ndarray:
        """Logarithms of microseconds, runs × networks."""
        rows = []
        for run, known in enumerate(traits):
            pair = [np.log(np.exp(self.of_run(run, known, int8=one)) @ amounts.T) for one in (False, True)]
            rows.append(np.where(int8, pair[1], pair[0]))
        return np.array(rows)


def fit(
    log_us: np.ndarray,
    amounts: np.ndarray,
    int8: np.ndarray,
    traits: np.ndarray,
    deviations: Mapping[str, float] = DEVIATIONS,
    kinds: Sequence[Kind] = KINDS,
) -> Fitted:
    """Fit the speeds of all runs.

    Args:
        log_us: logarithms of measured microseconds, runs × networks; not a number where nothing was measured.
        amounts: networks × kinds.
        int8: which networks are INT8.
        traits: runs × traits.
        deviations: as `DEVIATIONS` has them.
        kinds: of work.
    """
    before = _Kinds(kinds)
    known, parts = torch.tensor(traits), _parts(log_us, traits.shape[1], before)
    measured = torch.tensor(np.isfinite(log_us))
    target, work = torch.tensor(np.nan_to_num(log_us)), torch.tensor(amounts) + _NEXT_TO_NOTHING
    chosen = torch.tensor(int8)

    def loss() -> torch.Tensor:
        error = (target - _predicted(parts, before, known, work, chosen) - parts["network"])[measured]
        size = error.abs()
        fitted = torch.where(size < HUBER, error**2, 2 * HUBER * size - HUBER**2).sum() / NOISE**2
        held: torch.Tensor = fitted + sum((parts[name] ** 2).sum() / width**2 for name, width in deviations.items())
        return held / 2

    _minimise(loss, list(parts.values()))
    return _fitted({name: part.detach() for name, part in parts.items()}, before)


def _parts(log_us: np.ndarray, traits: int, before: _Kinds) -> dict[str, torch.Tensor]:
    (runs, networks), (groups, kinds) = log_us.shape, before.in_group.shape
    shapes = {
        "kind": (kinds,),
        "group": (groups,),
        "trait_kind": (traits, kinds),
        "trait_group": (traits, groups),
        "run_kind": (runs, kinds),
        "run_group": (runs, groups),
        "int8": (kinds,),
        "trait_int8": (traits, kinds),
        "run_int8": (runs, 1),
        "network": (networks,),
    }
    parts = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in shapes.items()}
    # Ten milliseconds are a usual latency of a usual network at the prior's speeds.
    parts["level"] = torch.tensor(np.nanmean(log_us, axis=1) - np.log(1e4))
    for part in parts.values():
        part.requires_grad_(True)
    return parts


def _predicted(
    parts: dict[str, torch.Tensor], before: _Kinds, traits: torch.Tensor, amounts: torch.Tensor, int8: torch.Tensor
) -> torch.Tensor:
    by_group = parts["group"] + traits @ parts["trait_group"] + parts["run_group"]
    floats = (
        before.prior + parts["kind"] + traits @ parts["trait_kind"] + parts["run_kind"] + by_group @ before.in_group
    )
    floats = floats + parts["level"][:, None]
    more = (parts["int8"] + traits @ parts["trait_int8"] + parts["run_int8"]) * before.int8
    pair = [torch.log(torch.exp(one) @ amounts.T) for one in (floats, floats + more)]
    return torch.where(int8, pair[1], pair[0])


def _minimise(loss: Callable[[], torch.Tensor], parts: list[torch.Tensor]) -> None:
    optimizer = torch.optim.LBFGS(parts, max_iter=ITERATIONS, history_size=30, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call,arg-type]


def _fitted(parts: dict[str, torch.Tensor], before: _Kinds) -> Fitted:
    return Fitted(
        common=(before.prior + parts["kind"] + parts["group"] @ before.in_group).numpy(),
        by_trait=(parts["trait_kind"] + parts["trait_group"] @ before.in_group).numpy(),
        own=(parts["run_kind"] + parts["run_group"] @ before.in_group).numpy(),
        level=parts["level"].numpy(),
        int8=(parts["int8"] * before.int8).numpy(),
        int8_by_trait=(parts["trait_int8"] * before.int8).numpy(),
        int8_own=(parts["run_int8"] * before.int8).numpy(),
    )
