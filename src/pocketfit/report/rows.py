"""The comparison table as data: one row per candidate, with what only its neighbours can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pocketfit.search.budget import guarded, misses
from pocketfit.types import Candidate, FitResult, KernelUse, Precision

__all__ = ["Row", "Verdict", "comparison", "kernels_of", "missed", "size_of"]


class Verdict(StrEnum):
    """What became of a candidate."""

    CHOSEN = "chosen"
    FITS = "fits"
    OVER_BUDGET = "over budget"
    NOT_RUN = "converted, not run here"
    FAILED = "failed"


@dataclass(frozen=True)
class Row:
    """A candidate and how it compares.

    Args:
        candidate: as in the result.
        verdict: what became of it.
        why: how far off the budget it is, why it failed, or why it was not run; empty otherwise.
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
    reference = _float32(candidate.runtime, result)
    if reference is None:
        return Row(candidate, verdict, why, None, None)
    own, other = candidate.evidence, reference.evidence
    return Row(
        candidate,
        verdict,
        why,
        size_ratio=_ratio(size_of(candidate), size_of(reference)),
        latency_ratio=None if own is None or other is None else own.median_ms() / other.median_ms(),
    )


def missed(rows: Sequence[Row]) -> list[Row]:
    """Those that were judged and do not fit, or failed."""
    return [row for row in rows if row.verdict in (Verdict.OVER_BUDGET, Verdict.FAILED)]


def size_of(candidate: Candidate) -> int | None:
    """Bytes of its files; None where it was not converted."""
    known = candidate.evidence or candidate.not_run
    return None if known is None else known.size_bytes


def kernels_of(candidate: Candidate) -> KernelUse | None:
    """The kernels it was given, or those that its files ask for where it was not run."""
    known = candidate.evidence or candidate.not_run
    return None if known is None else known.kernels


def _ratio(own: float | None, reference: float | None) -> float | None:
    return None if own is None or reference is None else own / reference


def _judge(candidate: Candidate, result: FitResult) -> tuple[Verdict, str]:
    if candidate.not_run is not None:
        return Verdict.NOT_RUN, candidate.not_run.reason
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


def _float32(runtime: str, result: FitResult) -> Candidate | None:
    return next(
        (
            candidate
            for candidate in result.candidates
            if (candidate.runtime, candidate.precision) == (runtime, Precision.FLOAT32)
        ),
        None,
    )
