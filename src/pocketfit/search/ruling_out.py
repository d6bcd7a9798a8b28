"""What the figures of known candidates tell of others, before any work goes into them."""

from __future__ import annotations

from collections.abc import Collection

from pocketfit.search.allowed import Allowed
from pocketfit.search.outcome import Outcome, State
from pocketfit.search.space import Point
from pocketfit.types import Precision

__all__ = ["is_ruled_out", "least_bytes"]

# Of its weights; file formats pack nothing tighter, but a layer that a converter folds away is not stored.
LEAST_SHARE = 0.9
_BYTES = {Precision.FLOAT32: 4, Precision.FLOAT16: 2, Precision.INT8: 1}


def least_bytes(parameters: int, precision: Precision) -> float:
    """That a file with so many weights takes."""
    return LEAST_SHARE * parameters * _BYTES[precision]


def is_ruled_out(point: Point, known: Collection[Outcome], allowed: Allowed, *, predicted: bool) -> bool:
    """Whether a candidate cannot keep the limits, going by others of the same resolution.

    What is pruned less has no fewer weights, and takes no less time in the same deployment; what is pruned more loses
    no less, and no deployment gives back what the network lost in float.

    Args:
        point: the candidate.
        known: what became of others.
        allowed: the limits.
        predicted: whether latency is; a measured one is too uncertain to judge another candidate by.
    """
    same = [one for one in known if one.point.input == point.input]
    smaller = [one for one in same if one.point.macs <= point.macs]
    weights = max((one.parameters or 0 for one in smaller), default=0)
    if least_bytes(weights, point.deployment.precision) > allowed.size_bytes:
        return True
    times = (one.latency_ms or 0.0 for one in smaller if one.point.deployment == point.deployment)
    if predicted and max(times, default=0.0) > allowed.latency_ms:
        return True
    return any(_lost_in_float(one) for one in same if one.point.macs >= point.macs)


def _lost_in_float(outcome: Outcome) -> bool:
    """Whether it was stopped by its drop before anything was converted."""
    return outcome.state is State.STOPPED and outcome.drop is not None and outcome.size_bytes is None
