"""A candidate in words."""

from __future__ import annotations

from pocketfit.search.outcome import Outcome, State
from pocketfit.search.units import drop, milliseconds, size

__all__ = ["ended"]


def ended(outcome: Outcome, number: int, trials: int, unit: str) -> str:
    """What became of a candidate, such as "3 of 20: ncnn int8, pruned to 50%, 1x8x8: drop 0.3 points, 0.1 ms, 9 kB"."""
    return f"{number} of {trials}: {outcome.point}: {_figures(outcome, unit)}"


def _figures(outcome: Outcome, unit: str) -> str:
    if outcome.state is not State.PROVED:
        return f"{outcome.state}: {outcome.reason}"
    assert outcome.drop is not None and outcome.latency_ms is not None and outcome.size_bytes is not None
    found = f"drop {drop(outcome.drop, unit)}, {milliseconds(outcome.latency_ms)}, {size(outcome.size_bytes)}"
    return found if outcome.fits else f"{found}: over budget"
