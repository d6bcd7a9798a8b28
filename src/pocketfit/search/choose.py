"""The artifact to ship, one per runtime, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from pocketfit.search.budget import fits, guarded, misses
from pocketfit.search.units import drop, milliseconds, points, size
from pocketfit.types import Accuracy, Budget, Candidate, Choice, Evidence, Precision

__all__ = ["Preference", "choose", "is_allowed", "lost"]

Preference = Literal["size", "latency"]

# Of the float model's figure: a difference that only the order of summation makes.
SAME = 1e-5


def choose(candidates: Sequence[Candidate], budget: Budget, prefer: Preference = "size") -> tuple[Choice, ...]:
    """Choose among the candidates of each runtime; one that was not run here is no choice, whatever its size.

    Args:
        candidates: the table; a runtime's rows need not be next to each other.
        budget: what the user allows; without a drop of its own, `DEFAULT_MAX_DROP_POINTS` holds.
        prefer: the smallest, or the fastest on one thread; the other one breaks ties.

    Returns:
        One choice per runtime, in the order in which the runtimes first appear.
    """
    runtimes = dict.fromkeys(candidate.runtime for candidate in candidates)
    return tuple(
        _choose_one(runtime, [row for row in candidates if row.runtime == runtime], budget, prefer)
        for runtime in runtimes
    )


def is_allowed(candidate: Candidate, budget: Budget) -> bool:
    """Whether a candidate was run here and fits the budget, as `choose` reads it."""
    return candidate.evidence is not None and fits(candidate, _limits(candidate, budget))


def _choose_one(runtime: str, rows: Sequence[Candidate], budget: Budget, prefer: Preference) -> Choice:
    measured = [row for row in rows if row.evidence is not None]
    if not measured:
        return Choice(runtime, None, _why_nothing_ran(rows))
    fitting = [row for row in measured if is_allowed(row, budget)]
    if not fitting:
        return Choice(runtime, None, _why_nothing_fits(measured, rows, budget))
    ranked = sorted(fitting, key=lambda row: _rank(row, prefer))
    return Choice(runtime, ranked[0].precision, _why_chosen(ranked, rows, budget, prefer))


def _limits(row: Candidate, budget: Budget) -> Budget:
    return guarded(budget, _evidence(row))


def _evidence(row: Candidate) -> Evidence:
    assert row.evidence is not None
    return row.evidence


def _rank(row: Candidate, prefer: Preference) -> tuple[float, float]:
    evidence = _evidence(row)
    by_size = (float(evidence.size_bytes), evidence.median_ms())
    return by_size if prefer == "size" else (by_size[1], by_size[0])


def _why_chosen(ranked: Sequence[Candidate], rows: Sequence[Candidate], budget: Budget, prefer: Preference) -> str:
    best = ranked[0]
    word = "smallest" if prefer == "size" else "fastest"
    lead = f"the {word} that fits" if len(ranked) > 1 else "the only one that fits"
    clauses = [
        f"{best.precision} is {lead}: {_figures(best)}{_against(ranked)}",
        *_slower_than_float(best, rows),
        *(f"{row.precision} {_why_not(row, budget)}" for row in rows if _was_preferred(row, ranked, prefer)),
    ]
    return "; ".join(clauses)


def _was_preferred(row: Candidate, ranked: Sequence[Candidate], prefer: Preference) -> bool:
    """Whether a reader wonders why this row is not the choice: it failed, or it is better but not allowed."""
    if row in ranked:
        return False
    return row.evidence is None or _rank(row, prefer) < _rank(ranked[0], prefer)


def _figures(row: Candidate) -> str:
    evidence = _evidence(row)
    accuracy = "" if evidence.accuracy is None else f", {lost(evidence.accuracy)}"
    return f"{size(evidence.size_bytes)} and {milliseconds(evidence.median_ms())} on one thread{accuracy}"


def lost(accuracy: Accuracy) -> str:
    """A drop in words, such as "0.2 points lost", "psnr 0.13 dB worse" or "mae 0.0117 better"."""
    change, unit = accuracy.drop_points, accuracy.unit
    if unit != "%":
        if abs(change) < SAME * abs(accuracy.float_value):
            return f"{accuracy.metric} the same"
        return f"{accuracy.metric} {drop(abs(change), unit)} {'worse' if change > 0 else 'better'}"
    if points(change) == "0.0":
        return "no accuracy lost"
    return f"{points(abs(change))} points {'lost' if change > 0 else 'gained'}"


def _against(ranked: Sequence[Candidate]) -> str:
    if len(ranked) < 2:
        return ""
    runner_up = _evidence(ranked[1])
    return (
        f", against {size(runner_up.size_bytes)} and {milliseconds(runner_up.median_ms())} "
        f"for the runner-up {ranked[1].precision}"
    )


def _slower_than_float(best: Candidate, rows: Sequence[Candidate]) -> list[str]:
    if best.precision is not Precision.INT8:
        return []
    int8_ms = _evidence(best).median_ms()
    return [
        f"it is slower than float32 on this host ({milliseconds(int8_ms)} against {milliseconds(float_ms)})"
        for row in rows
        if row.precision is Precision.FLOAT32 and row.evidence is not None
        if (float_ms := row.evidence.median_ms()) < int8_ms
    ]


def _why_not(row: Candidate, budget: Budget) -> str:
    if row.failure is not None:
        return f"failed at {row.failure.stage}"
    if row.not_run is not None:
        return "was converted, not run here"
    if row.evidence is None:
        return "was not measured"
    return f"is over budget ({', '.join(misses(row, _limits(row, budget)))})"


def _why_nothing_fits(measured: Sequence[Candidate], rows: Sequence[Candidate], budget: Budget) -> str:
    nearest = min(measured, key=lambda row: _distance(_evidence(row), _limits(row, budget)))
    far_off = ", and ".join(misses(nearest, _limits(nearest, budget)))
    clauses = [
        f"nothing fits the budget; the nearest miss is {nearest.precision}: {far_off}",
        *(f"{row.precision} {_why_not(row, budget)}" for row in rows if row not in measured),
    ]
    return "; ".join(clauses)


def _distance(evidence: Evidence, budget: Budget) -> float:
    """How far off the limits are, as one number that only serves to compare: relative to each limit, summed."""
    distance = 0.0
    if budget.max_drop_points is not None:
        worse = math.inf if evidence.accuracy is None else evidence.accuracy.drop_points
        # A limit below one point would make every drop look far away next to a size.
        distance += max(0.0, worse - budget.max_drop_points) / max(1.0, budget.max_drop_points)
    if budget.max_size_bytes is not None:
        distance += max(0, evidence.size_bytes - budget.max_size_bytes) / budget.max_size_bytes
    if budget.max_memory_bytes is not None:
        distance += max(0, evidence.peak_memory_bytes - budget.max_memory_bytes) / budget.max_memory_bytes
    return distance


def _why_nothing_ran(rows: Sequence[Candidate]) -> str:
    by_reason: dict[str, list[str]] = {}
    for row in rows:
        by_reason.setdefault(_why_it_did_not_run(row), []).append(row.precision)
    lead = "" if all(row.not_run for row in rows) else "nothing ran; "
    return lead + "; ".join(f"{', '.join(who)} {reason}" for reason, who in by_reason.items())


def _why_it_did_not_run(row: Candidate) -> str:
    if row.not_run is not None:
        return f"converted, not run here: {row.not_run.reason}"
    return f"failed at {row.failure.stage}: {row.failure.reason}" if row.failure else "failed not measured"
