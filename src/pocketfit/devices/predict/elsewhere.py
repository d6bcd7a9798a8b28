"""A latency on one chip, taken over to another: it tells what a compiler makes of a model, which its layers do not.

NPUs of one maker fuse and tile a network alike. Measured on one of them, the ratio of two predictions moves it to
another, with errors a quarter as large as without (`python -m benchmarks latency_leave_one_out`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp

from pocketfit.devices.predict.predict import ModelNeeds, Prediction, predict
from pocketfit.devices.predict.speeds import NINETY, Estimate
from pocketfit.devices.profile import Profile
from pocketfit.errors import OptionError

__all__ = ["SPREAD", "Seen", "taken_over"]

# Standard deviation of the logarithm of what is taken over, by the benchmark's leave-one-out errors.
SPREAD = 0.172
_PROCESSOR = "npu"


@dataclass(frozen=True)
class Seen:
    """A latency of the model that was measured on an NPU.

    Args:
        profile: of its device.
        runtime: that ran it.
        precision: in which.
        ms: of one inference.
    """

    profile: Profile
    runtime: str
    precision: str
    ms: float


def taken_over(needs: ModelNeeds, predictions: Sequence[Prediction], seen: Seen) -> tuple[Prediction, ...]:
    """Predictions with the same runtime and precision on an NPU, moved by what was measured; the fastest first.

    Args:
        needs: of the model.
        predictions: of it, on any devices; the others are left as they are.
        seen: what was measured.

    Raises:
        OptionError: nothing is known of such a way on the device that was measured.
    """
    way = (seen.runtime, seen.precision, _PROCESSOR)
    there = next((one for one in predict(needs, seen.profile) if _way(one) == way), None)
    if there is None:
        known = ", ".join(
            f"{one.runtime}/{one.precision}" for one in seen.profile.targets if one.processor == _PROCESSOR
        )
        raise OptionError(
            f"--seen: nothing is known of {seen.runtime} {seen.precision} on an NPU of {seen.profile.name}. "
            f"It knows: {known or 'none'}."
        )
    times = seen.ms / there.latency.ms
    moved = (_moved(one, times) if _way(one) == way else one for one in predictions)
    return tuple(sorted(moved, key=lambda one: one.latency.ms))


def _moved(one: Prediction, times: float) -> Prediction:
    ms, wide = one.latency.ms * times, exp(NINETY * SPREAD)
    return replace(one, latency=Estimate(ms, ms / wide, ms * wide), energy_mj=one.energy_mj * times)


def _way(one: Prediction) -> tuple[str, str, str]:
    return one.runtime, one.precision, one.processor
