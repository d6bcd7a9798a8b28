"""The rescue ladder: repair a quantized model step by step, stop at the target, keep the best.

    plain → ranges → equalization → SmoothQuant → bias correction → GPTQ → AdaRound → float between layers
          → mixed precision → training

Each step starts from the best draft so far. What it offers is judged on held-out samples and kept only if it answers
more like the float model; the ladder ends at the first draft whose accuracy drop is within the target. The held-out
labels decide nothing but when to stop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pocketfit.compress.quantize.draft import Bench, Draft, Step
from pocketfit.types import Rung, Score

__all__ = ["Ladder", "Scored", "Target", "climb"]


class Scored(Protocol):
    """Builds a draft, or finds it where an earlier run stored it, and scores it on held-out samples."""

    def __call__(self, name: str, start: Draft | None, build: Callable[[], Draft | None]) -> tuple[Draft, Score] | None:
        """None where `build` offers nothing.

        Args:
            name: of the step.
            start: what it starts from.
            build: does the work.
        """
        ...


@dataclass(frozen=True)
class Target:
    """Where the ladder ends.

    Args:
        max_drop_points: drop allowed, in the metric's unit, points for per cent; without labels, the share of
            answers that may change.
        min_agreement: share of answers, 0..1, that must be the float model's. Accuracy can stay flat while answers
            change, some for the better and some for the worse.
    """

    max_drop_points: float = 0.5
    min_agreement: float = 0.0

    def met(self, score: Score) -> bool:
        """Whether a score is good enough."""
        drop = 100 * (1 - score.agreement) if score.drop_points is None else score.drop_points
        return drop <= self.max_drop_points and score.agreement >= self.min_agreement


@dataclass(frozen=True)
class Ladder:
    """What came of climbing.

    Args:
        draft: the best.
        score: its own.
        rungs: every step that was tried, in order.
        reached: whether the target was met.
    """

    draft: Draft
    score: Score
    rungs: tuple[Rung, ...]
    reached: bool


def climb(bench: Bench, start: Callable[[], Draft], steps: Sequence[Step], target: Target, scored: Scored) -> Ladder:
    """Climb until the target is met or no step is left.

    Args:
        bench: what the steps work with.
        start: draws the first draft.
        steps: in the order they are tried.
        target: where to stop.
        scored: builds, stores and scores.
    """
    begin = time.perf_counter()
    first = scored("plain", None, start)
    assert first is not None
    draft, score = first
    rungs = [Rung("plain", score, kept=True, seconds=time.perf_counter() - begin, notes=draft.notes)]
    for step in steps:
        if target.met(score):
            break
        begin = time.perf_counter()
        before = draft
        offered = scored(step.name, before, lambda step=step, before=before: step.climb(bench, before))  # type: ignore[misc]
        if offered is None:
            continue
        kept = offered[1].divergence < score.divergence
        notes = offered[0].notes[len(before.notes) :]
        rungs.append(Rung(step.name, offered[1], kept, time.perf_counter() - begin, notes))
        if kept:
            draft, score = offered
    return Ladder(draft, score, tuple(rungs), target.met(score))
