"""A latency on one chip, taken over to others: it tells what a compiler makes of a model, which its layers do not.

NPUs of one maker fuse and tile a network alike, so that latencies change from one chip to another by nearly the same
ratio for all networks: the median over those that were measured on both, which `chips.json` has for each runtime and
precision. Layers tell that ratio as well, for this network; and they tell the latency itself, less surely. All three
count. `python -m benchmarks latency_leave_one_out` tells how far off that is, `python -m
benchmarks.latency.write_profiles` writes the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from math import exp, log
from statistics import fmean

from pocketfit.devices.predict.predict import ModelNeeds, Prediction, predict
from pocketfit.devices.predict.speeds import NINETY, Estimate
from pocketfit.devices.profile import Profile
from pocketfit.errors import OptionError

__all__ = ["Alike", "Seen", "Step", "most_alike", "taken_over"]

_PROCESSOR = "npu"
# Standard deviation of the logarithm of a latency that is measured again on the same device.
AGAIN = 0.03
# How much the ratio between two chips that layers tell counts beside the median over networks.
BY_LAYERS = 0.5
# With another runtime, or another precision: how much of what layers are off there is taken off here (in logarithms),
# and how many times as wide the interval is after that. `python -m benchmarks latency_leave_one_out` measures both.
SAME_PRECISION, OTHER_PRECISION = (0.5, 0.86), (0.4, 0.85)


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
    alike = [Alike(other, fmean(some), len(some)) for other, some in spreads.items()]
    return tuple(sorted(alike, key=lambda one: (-one.ways, one.spread)))


def taken_over(predictions: Sequence[Prediction], seen: Sequence[Seen], needs: ModelNeeds) -> tuple[Prediction, ...]:
    """Predictions for NPUs, by what was measured on NPUs; the fastest first.

    With the same runtime and precision, latencies are taken over: of several chips, those that are more alike count for
    more, and what layers tell counts as much as it is sure. With others, they tell how far off layers are for this
    model, part of which is taken off.

    Args:
        predictions: of the model that was measured, on any devices; those for other processors are left as they are.
        seen: what was measured.
        needs: of the model.

    Raises:
        OptionError: nothing is known of such a way on a device that was measured.
    """
    known = [_Known(one, _steps(one), _off(one, needs)) for one in seen]
    moved = (_moved(one, known) if one.processor == _PROCESSOR else one for one in predictions)
    return tuple(sorted(moved, key=lambda one: one.latency.ms))


@dataclass(frozen=True)
class _Known:
    """What a measurement tells.

    Args:
        seen: the measurement.
        steps: to other devices.
        off: logarithm of what was measured over what layers told; none where the profile does not know such a way.
    """

    seen: Seen
    steps: Mapping[str, Step]
    off: float | None

    def same_way(self, one: Prediction) -> bool:
        """Whether it was measured with the runtime and precision of a prediction."""
        return (self.seen.runtime, self.seen.precision) == (one.runtime, one.precision)


def _off(seen: Seen, needs: ModelNeeds) -> float | None:
    way = (seen.runtime, seen.precision, _PROCESSOR)
    for one in predict(needs, seen.profile):
        if (one.runtime, one.precision, one.processor) == way:
            return log(seen.ms / one.latency.ms)
    return None


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


def _moved(one: Prediction, known: Sequence[_Known]) -> Prediction:
    same = [other for other in known if other.same_way(one) and one.device in other.steps]
    if same:
        return _replaced(one, *_weighed(one, same))
    told = [(other.seen.precision, other.off) for other in known if other.off is not None]
    alike = [off for precision, off in told if precision == one.precision]
    pull, narrower = SAME_PRECISION if alike else OTHER_PRECISION
    offs = alike or [off for _, off in told]
    # Chips of one maker are off alike: nothing is known of others.
    if not offs or not any(one.device in devices for devices in _table().values()):
        return one
    return _replaced(one, one.latency.ms * exp(pull * fmean(offs)), narrower * _doubt(one))


def _weighed(one: Prediction, known: Sequence[_Known]) -> tuple[float, float]:
    """Milliseconds that chips and layers tell together, and the standard deviation of the logarithm."""
    here = [log(other.seen.ms) for other in known if other.seen.profile.name == one.device]
    if here:
        return exp(fmean(here)), AGAIN
    spreads = [other.steps[one.device].spread for other in known]
    logs = [*(_told(one, other) for other in known), log(one.latency.ms)]
    ms = exp(fmean(logs, [spread**-2 for spread in (*spreads, _doubt(one))]))
    # Chips err together: two of them leave no less doubt than the better one alone.
    return ms, (min(spreads) ** -2 + _doubt(one) ** -2) ** -0.5


def _told(one: Prediction, known: _Known) -> float:
    """Logarithm of the milliseconds that one other chip tells."""
    by_networks = log(known.seen.ms * known.steps[one.device].times)
    if known.off is None:
        return by_networks
    return (1 - BY_LAYERS) * by_networks + BY_LAYERS * (log(one.latency.ms) + known.off)


def _doubt(one: Prediction) -> float:
    """Standard deviation of the logarithm of a latency, as its interval tells it."""
    return log(one.latency.high_ms / one.latency.ms) / NINETY


def _replaced(one: Prediction, ms: float, spread: float) -> Prediction:
    wide = exp(NINETY * spread)
    return replace(one, latency=Estimate(ms, ms / wide, ms * wide), energy_mj=one.energy_mj * ms / one.latency.ms)
