"""What a search has learnt of one candidate."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pocketfit.search.space import Point

__all__ = ["Outcome", "State"]


class State(StrEnum):
    """How far a candidate came: proved on all samples, stopped before because it cannot fit, or failed."""

    PROVED = "proved"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """A candidate and its figures; those that were not reached are None.

    Args:
        point: what was tried.
        state: how far it came.
        reason: why it was stopped or failed; empty for one that was proved.
        drop: how much worse than the float model it is by the metric, in its unit; points for per cent. Without labels,
            the share of samples, in per cent, that it answers otherwise.
        latency_ms: of one inference on one thread, measured on the host or predicted for a phone.
        size_bytes: of the artifact.
        memory_bytes: that opening and running it added to a process of the host that worked on it.
        macs: multiply-accumulates of the network.
        parameters: numbers in its weights.
        samples: held-out samples that `drop` comes from.
        seconds: that it took.
        over: how far it is over the limits, each relative to itself, summed; 0 where it keeps all.
    """

    point: Point
    state: State
    reason: str = ""
    drop: float | None = None
    latency_ms: float | None = None
    size_bytes: int | None = None
    memory_bytes: int | None = None
    macs: int | None = None
    parameters: int | None = None
    samples: int = 0
    seconds: float = 0.0
    over: float = 0.0

    @property
    def fits(self) -> bool:
        """Whether it was proved and keeps every limit."""
        return self.state is State.PROVED and self.over <= 0
