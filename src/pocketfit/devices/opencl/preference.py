"""Which layout is the fastest, and whether that is more than noise."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb

from pocketfit.devices.opencl.layouts import Layout

__all__ = ["LEAD", "Preference", "judge"]

# A lead below this is not called one, however surely it was measured. Where memory happens to be allocated and which
# work-group the tuning takes stay the same within a probe and change between two: repeated on one busy CPU, the ratio
# of two equally fast layouts went from 0.9 to 1.1.
LEAD = 1.15
CHANCE = 0.01


@dataclass(frozen=True)
class Preference:
    """What the times say.

    Args:
        layouts: the fastest and those not clearly slower, the fastest first; one alone is preferred.
        runner_up: the fastest of the others; None where there are none.
        lead: its median time divided by the fastest's.
    """

    layouts: tuple[Layout, ...]
    runner_up: Layout | None
    lead: float

    @property
    def clear(self) -> bool:
        """Whether one layout is preferred."""
        return len(self.layouts) == 1 and self.runner_up is not None


def judge(times_ms: Mapping[Layout, Sequence[float]]) -> Preference | None:
    """Compare layouts by times that were taken in turns.

    A layout is clearly slower when its median is `LEAD` times the fastest's or more, and it was the slower one in so
    many rounds that a fair coin would give them in less than `CHANCE` of all cases, divided by the number of rivals.

    Args:
        times_ms: for each layout one time a round, in the order of the rounds.

    Returns:
        None where there is nothing to compare.
    """
    ranked = sorted(times_ms, key=lambda layout: statistics.median(times_ms[layout]))
    if not ranked:
        return None
    fastest, *rivals = ranked
    close = [rival for rival in rivals if not _slower(times_ms[fastest], times_ms[rival], CHANCE / len(rivals))]
    return Preference(
        layouts=(fastest, *close),
        runner_up=rivals[0] if rivals else None,
        lead=statistics.median(times_ms[rivals[0]]) / statistics.median(times_ms[fastest]) if rivals else 1.0,
    )


def _slower(fast_ms: Sequence[float], slow_ms: Sequence[float], chance: float) -> bool:
    if statistics.median(slow_ms) < LEAD * statistics.median(fast_ms):
        return False
    losses = sum(slow > fast for fast, slow in zip(fast_ms, slow_ms, strict=True))
    return _by_chance(losses, len(fast_ms)) < chance


def _by_chance(heads: int, throws: int) -> float:
    """Probability that a fair coin shows so many heads or more, or as few tails: the two-sided sign test."""
    ways = sum(comb(throws, count) for count in range(heads, throws + 1))
    return min(1.0, 2 * ways / float(2**throws))
