"""All limits of a search as numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pocketfit.search.outcome import Outcome

__all__ = ["Allowed"]


@dataclass(frozen=True)
class Allowed:
    """What a candidate may cost at most.

    Args:
        drop: in the metric's unit.
        size_bytes: of the artifact; infinite for no limit.
        latency_ms: of one inference; infinite for no limit.
        memory_bytes: that opening and running adds to a process; infinite for no limit.
    """

    drop: float
    size_bytes: float = math.inf
    latency_ms: float = math.inf
    memory_bytes: float = math.inf

    def over(self, outcome: Outcome) -> float:
        """How far a candidate is over the limits, each relative to itself, summed; 0 where it keeps all it is known of.

        A limit on the drop below 1 counts as 1, or every drop would look far away next to a size.
        """
        drop = max(0.0, (outcome.drop or 0.0) - self.drop) / max(1.0, self.drop)
        pairs = (
            (outcome.size_bytes, self.size_bytes),
            (outcome.latency_ms, self.latency_ms),
            (outcome.memory_bytes, self.memory_bytes),
        )
        return drop + sum(max(0.0, (found or 0) / limit - 1) for found, limit in pairs)
