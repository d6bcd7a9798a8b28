"""A latency on one chip, taken over to another: it tells what a compiler makes of a model, which its layers do not.

NPUs of one maker fuse and tile a network alike, so that latencies change from one chip to another by nearly the same
ratio for all networks: the median over those that were measured on both, which `chips.json` has for each runtime and
precision. `python -m benchmarks latency_leave_one_out` tells how far off that is, `python -m
benchmarks.latency.write_profiles` writes the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from math import exp, log
from operator import mul

from pocketfit.devices.predict.predict import Prediction
from pocketfit.devices.predict.speeds import NINETY, Estimate
from pocketfit.devices.profile import Profile
from pocketfit.errors import OptionError

__all__ = ["Alike", "Seen", "Step", "most_alike", "taken_over"]

_PROCESSOR = "npu"
# Standard deviation of the logarithm of a latency that is measured again on the same device.
AGAIN = 0.03


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


@dataclass(frozen=True)
class Step:
    """From one chip to another.

    Args:
        times: how many times as long networks take, the median.
        spread: standard deviation of the logarithm of that between networks.
    """

    times: float
    spread: float


@dataclass(frozen=True)
class Alike:
    """A chip that tells of another one.

    Args:
        device: name of its profile.
        spread: standard deviation of the logarithm of latencies that it tells, the mean over ways.
        ways: in how many runtimes and precisions it does.
    """

    device: str
    spread: float
    ways: int


def most_alike(device: str) -> tuple[Alike, ...]:
    """The chips that a latency on a device's NPU can be told from, those that tell it in most ways and best first.

    Args:
        device: name of a profile; none is known of one without an NPU in the tables.
    """
    spreads: dict[str, list[float]] = {}
    for devices in _table().values():
        for other, found in devices.items():
            if device in found:
                spreads.setdefault(other, []).append(found[device][1])
    alike = [Alike(other, sum(some) / len(some), len(some)) for other, some in spreads.items()]
    return tuple(sorted(alike, key=lambda one: (-one.ways, one.spread)))


def taken_over(predictions: Sequence[Prediction], seen: Sequence[Seen]) -> tuple[Prediction, ...]:
    """Predictions with the same runtime and precision on an NPU, replaced by what was measured; the fastest first.

    Of several chips that were measured with the same runtime and precision, those that are more alike count for more.

    Args:
        predictions: of the model that was measured, on any devices; other ways are left as they are.
        seen: what was measured.

    Raises:
        OptionError: nothing is known of such a way on a device that was measured.
    """
    steps = [(one, _steps(one)) for one in seen]
    moved = []
    for one in predictions:
        found = [
            (other.ms, known[one.device])
            for other, known in steps
            if (other.runtime, other.precision, _PROCESSOR) == (one.runtime, one.precision, one.processor)
            and one.device in known
        ]
        moved.append(_moved(one, found) if found else one)
    return tuple(sorted(moved, key=lambda one: one.latency.ms))


def _steps(seen: Seen) -> Mapping[str, Step]:
    """From the device that was measured to each other one."""
    known, name = _table(), seen.profile.name
    found = known.get(f"{seen.runtime}/{seen.precision}", {}).get(name)
    if found is None:
        ways = ", ".join(way for way, devices in known.items() if name in devices)
        raise OptionError(
            f"--seen: nothing is known of {seen.runtime}/{seen.precision} on an NPU of {name} and on others. "
            f"There it knows: {ways or 'none'}."
        )
    return {name: Step(1.0, AGAIN)} | {other: Step(times, spread) for other, (times, spread) in found.items()}


@cache
def _table() -> Mapping[str, Mapping[str, Mapping[str, tuple[float, float]]]]:
    """By runtime and precision, device that was measured, and other device: times and spread."""
    text = (resources.files("pocketfit.devices.predict") / "chips.json").read_text()
    found: Mapping[str, Mapping[str, Mapping[str, tuple[float, float]]]] = json.loads(text)
    return found


def _moved(one: Prediction, seen: Sequence[tuple[float, Step]]) -> Prediction:
    weights = [step.spread**-2 for _, step in seen]
    logs = [log(ms * step.times) for ms, step in seen]
    ms = exp(sum(map(mul, weights, logs)) / sum(weights))
    # Chips err together: two of them leave no less doubt than the better one alone.
    wide = exp(NINETY * min(step.spread for _, step in seen))
    return replace(one, latency=Estimate(ms, ms / wide, ms * wide), energy_mj=one.energy_mj * ms / one.latency.ms)
