"""What a run achieved, in one sentence."""

from __future__ import annotations

from pocketfit.report.rows import Row, Verdict, comparison
from pocketfit.report.titles import title_of
from pocketfit.search.choose import lost
from pocketfit.search.units import milliseconds, size
from pocketfit.types import FitResult, Precision

__all__ = ["headline"]

# Two medians of the same artifact differ by about this share even on a quiet machine.
SAME = 0.05


def headline(result: FitResult) -> str:
    """Say what the best of the chosen artifacts achieves, or that there is none.

    The best is the one for which size and latency together shrank most.
    """
    chosen = [row for row in comparison(result) if row.verdict is Verdict.CHOSEN]
    if not chosen:
        return _nothing_chosen(result)
    return _sentence(min(chosen, key=_remaining))


def _nothing_chosen(result: FitResult) -> str:
    if any(candidate.evidence is not None for candidate in result.candidates):
        return "No artifact fits the budget"
    if any(candidate.not_run is not None for candidate in result.candidates):
        return "Converted, not run here"
    return "No artifact could be made"


def _remaining(row: Row) -> float:
    return (row.size_ratio or 1.0) * (row.latency_ratio or 1.0)


def _sentence(row: Row) -> str:
    achieved = ", ".join(phrase for phrase in (_size(row), _accuracy(row), _speed(row)) if phrase)
    return f"{achieved} in {title_of(row.candidate.runtime)} on this host"


def _size(row: Row) -> str:
    evidence = row.candidate.evidence
    if evidence is None:
        return ""
    if row.size_ratio is None or row.candidate.precision is Precision.FLOAT32:
        return f"{size(evidence.size_bytes)} as {row.candidate.precision}"
    return _times(row.size_ratio, "smaller", "larger") or "the same size"


def _accuracy(row: Row) -> str:
    evidence = row.candidate.evidence
    if evidence is None or evidence.accuracy is None:
        return ""
    return lost(evidence.accuracy)


def _speed(row: Row) -> str:
    evidence = row.candidate.evidence
    if evidence is None:
        return ""
    if row.latency_ratio is None or row.candidate.precision is Precision.FLOAT32:
        return milliseconds(evidence.median_ms())
    return _times(row.latency_ratio, "faster", "slower") or "as fast as float32"


def _times(ratio: float, less: str, more: str) -> str:
    """Such as "3.7x smaller" for a ratio of 0.27; empty when there is no difference worth a word."""
    if abs(ratio - 1) < SAME:
        return ""
    return f"{1 / ratio:.1f}x {less}" if ratio < 1 else f"{ratio:.1f}x {more}"
