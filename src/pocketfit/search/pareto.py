"""The candidates that no other one beats in everything, and the best of them under a budget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pocketfit.search.choose import Preference
from pocketfit.search.outcome import Outcome, State

__all__ = ["best", "front", "objectives"]


def objectives(outcome: Outcome) -> tuple[float, float, float]:
    """Drop, latency in milliseconds and size in bytes of a proved candidate: the smaller the better."""
    assert outcome.drop is not None and outcome.latency_ms is not None and outcome.size_bytes is not None
    return outcome.drop, outcome.latency_ms, float(outcome.size_bytes)


def front(outcomes: Iterable[Outcome]) -> tuple[Outcome, ...]:
    """Proved candidates that none is at least as good as in every objective and better in one, the smallest first."""
    proved = sorted((one for one in outcomes if one.state is State.PROVED), key=lambda one: objectives(one)[::-1])
    figures = [objectives(one) for one in proved]
    return tuple(one for one, own in zip(proved, figures, strict=True) if not any(_beats(it, own) for it in figures))


def best(outcomes: Sequence[Outcome], prefer: Preference) -> Outcome | None:
    """The smallest or the fastest that keeps every limit; the other one breaks ties, then the drop."""
    fitting = [one for one in outcomes if one.fits]
    return min(fitting, key=lambda one: _rank(one, prefer), default=None)


def _rank(outcome: Outcome, prefer: Preference) -> tuple[float, float, float]:
    drop, latency, size = objectives(outcome)
    return (size, latency, drop) if prefer == "size" else (latency, size, drop)


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
