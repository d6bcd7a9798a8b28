"""From a picture to a name: prepared, found alive, embedded, looked for; with the time that each of it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

import numpy as np

from pocketfit.errors import OptionError
from pocketfit.matching.gallery import Gallery, Match

__all__ = ["STAGES", "Gate", "Look", "Outcome", "Recogniser"]

STAGES = ("prepare", "liveness", "embed", "match")

Picture = TypeVar("Picture")


class Outcome(StrEnum):
    """What came of a picture."""

    KNOWN = "known"
    STRANGER = "stranger"
    NOT_LIVE = "not_live"


@dataclass(frozen=True)
class Gate:
    """Lets live faces through.

    Args:
        probability: from the prepared input to 0..1.
        threshold: a probability above it is a live face.
    """

    probability: Callable[[np.ndarray], float]
    threshold: float


@dataclass(frozen=True)
class Look:
    """What came of one picture.

    Args:
        outcome: in a word.
        reason: why it was refused; empty for somebody known.
        matches: best first; empty where it was refused.
        liveness: the gate's probability; None without a gate.
        ms: milliseconds by stage; stages that were not reached are missing.
        late: stages that took longer than their budget, and "total".
    """

    outcome: Outcome
    reason: str
    matches: tuple[Match, ...]
    liveness: float | None
    ms: Mapping[str, float]
    late: tuple[str, ...]


@dataclass
class Recogniser(Generic[Picture]):
    """Asks the stages one after the other; a face that is not alive is never embedded.

    Args:
        prepare: from a picture to the model's input: alignment and the preprocessing contract.
        embed: from that to an embedding.
        gallery: who is enrolled.
        gate: before the embedding; None for none.
        budget_ms: what each of `STAGES`, and "total", may take; a stage that is missing has no limit.
        most: how many persons are told.
        clock: in seconds.

    Raises:
        OptionError: the budget names no stage, or is not above 0.
    """

    prepare: Callable[[Picture], np.ndarray]
    embed: Callable[[np.ndarray], np.ndarray]
    gallery: Gallery
    gate: Gate | None = None
    budget_ms: Mapping[str, float] = field(default_factory=dict)
    most: int = 1
    clock: Callable[[], float] = time.perf_counter

    def __post_init__(self) -> None:
        for stage, limit in self.budget_ms.items():
            if stage not in (*STAGES, "total") or not limit > 0:
                raise OptionError(
                    f"The budget {stage}={limit} is none. Stages are {', '.join(STAGES)} and total, in milliseconds."
                )

    def look(self, picture: Picture) -> Look:
        """Say who is in a picture, or why that is not said."""
        watch = _Watch(self.clock)
        prepared = watch.time("prepare", lambda: self.prepare(picture))
        alive = None
        if self.gate is not None:
            gate = self.gate
            alive = watch.time("liveness", lambda: float(gate.probability(prepared)))
            if not alive > gate.threshold:  # a NaN is refused as well
                reason = f"not live: {alive:.3f}, and more than {gate.threshold:.3f} is asked"
                return self._done(Outcome.NOT_LIVE, reason, (), alive, watch)
        embedding = watch.time("embed", lambda: self.embed(prepared))
        matches = tuple(watch.time("match", lambda: self.gallery.search(embedding, self.most)))
        if matches:
            return self._done(Outcome.KNOWN, "", matches, alive, watch)
        reason = f"a stranger: nobody of {len(self.gallery.names)} is alike above {self.gallery.threshold:.3f}"
        return self._done(Outcome.STRANGER, reason, (), alive, watch)

    def _done(
        self, outcome: Outcome, reason: str, matches: tuple[Match, ...], alive: float | None, watch: _Watch
    ) -> Look:
        spent = watch.ms | {"total": sum(watch.ms.values())}
        late = tuple(stage for stage, ms in spent.items() if ms > self.budget_ms.get(stage, float("inf")))
        return Look(outcome, reason, matches, alive, spent, late)


Result = TypeVar("Result")


class _Watch:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.ms: dict[str, float] = {}

    def time(self, stage: str, work: Callable[[], Result]) -> Result:
        started = self._clock()
        result = work()
        self.ms[stage] = 1000 * (self._clock() - started)
        return result
