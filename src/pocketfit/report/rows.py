"""The comparison table as data: one row per candidate, with what only its neighbours can tell."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pocketfit.search.budget import guarded, misses
from pocketfit.types import Candidate, Evidence, FitResult, Precision

__all__ = ["Row", "Verdict", "comparison"]


class Verdict(StrEnum):
    """What became of a candidate."""

    CHOSEN = "chosen"
    FITS = "fits"
    OVER_BUDGET = "over budget"
    FAILED = "failed"


@dataclass(frozen=True)
class Row:
    """A candidate and how it compares.

    Args:
        candidate: as in the result.
        verdict: what became of it.
        why: how far off the budget it is, or why it failed; empty otherwise.
        size_ratio: its size over that of the same runtime's float32; None where either is unknown.
        latency_ratio: its one-thread median over that of the same runtime's float32; None where either is unknown.
    """

    candidate: Candidate
    verdict: Verdict
    why: str
    size_ratio: float | None
    latency_ratio: float | None


def comparison(result: FitResult) -> tuple[Row, ...]:
    """One row per candidate, in the result's order."""
    return tuple(_row(candidate, result) for candidate in result.candidates)


def _row(candidate: Candidate, result: FitResult) -> Row:
    verdict, why = _judge(candidate, result)
    own, reference = candidate.evidence, _float32(candidate.runtime, result)
    if own is None or reference is None:
        return Row(candidate, verdict, why, None, None)
    return Row(
        candidate,
        verdict,
        why,
        size_ratio=own.size_bytes / reference.size_bytes,
        latency_ratio=own.median_ms() / reference.median_ms(),
    )


def _judge(candidate: Candidate, result: FitResult) -> tuple[Verdict, str]:
    if candidate.evidence is None:
        return Verdict.FAILED, _failure(candidate)
    missed = misses(candidate, guarded(result.budget, candidate.evidence))
    if missed:
        return Verdict.OVER_BUDGET, "; ".join(missed)
    chosen = any(
        (choice.runtime, choice.precision) == (candidate.runtime, candidate.precision) for choice in result.choices
    )
    return (Verdict.CHOSEN if chosen else Verdict.FITS), ""


def _failure(candidate: Candidate) -> str:
    failure = candidate.failure
    if failure is None:
        return "it was not measured"
    return f"at {failure.stage}: {failure.reason}" + (f" {failure.hint}" if failure.hint else "")


def _float32(runtime: str, result: FitResult) -> Evidence | None:
    return next(
        (
            candidate.evidence
            for candidate in result.candidates
            if (candidate.runtime, candidate.precision) == (runtime, Precision.FLOAT32)
        ),
        None,
    )
