"""A device under load: it warms up to its limit, and is then held there by a lower clock.

One thermal mass with one resistance to the air, dT/dt = (ambient + resistance * watts - T) / tau, solved exactly for
watts that are constant over a step. The governor is an ideal one: in each step the highest clock that keeps the device
at or below its limit. Real ones go in stages, and some lower clocks well before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from pocketfit.devices.power import EXPONENT
from pocketfit.devices.profile import Cooling

__all__ = ["LOWEST_CLOCK", "Load", "Moment", "duty_cycle", "moments"]

# Governors stop somewhere; below, an app has to pause.
LOWEST_CLOCK = 0.2
STEP_S = 1.0


@dataclass(frozen=True)
class Load:
    """What is asked of a device.

    Args:
        ms: of one inference at the highest clock.
        watts: that inference draws at it, on top of `base_watts`.
        base_watts: of all else.
        per_second: inferences; None for one after the other.
    """

    ms: float
    watts: float
    base_watts: float
    per_second: float | None = None

    def busy(self, clock: float) -> float:
        """Share of the time that inference takes at a clock, 0..1."""
        return 1.0 if self.per_second is None else min(1.0, self.per_second * self.ms / 1000 / clock)

    def drawn(self, clock: float) -> float:
        """Watts of inference at a clock, on average."""
        return float(self.watts * clock**EXPONENT * self.busy(clock))

    def clock_for(self, watts: float) -> float:
        """The highest clock, as a share of the highest there is, at which inference draws no more than that."""
        share = max(watts, 0.0) / self.watts
        always = float(share ** (1 / EXPONENT))
        if self.per_second is None:
            return min(1.0, always)
        paused = (share / (self.per_second * self.ms / 1000)) ** (1 / (EXPONENT - 1))
        return float(min(1.0, max(always, paused)))


@dataclass(frozen=True)
class Moment:
    """The device at one time.

    Args:
        seconds: since the load began.
        temperature_c: then.
        clock: as a share of the highest.
        ms: of one inference.
        watts: drawn by inference.
        per_second: inferences that are done.
    """

    seconds: float
    temperature_c: float
    clock: float
    ms: float
    watts: float
    per_second: float


def moments(load: Load, cooling: Cooling, ambient_c: float, seconds: float) -> Iterator[Moment]:
    """A device from the temperature that it has without inference, one moment a second, the first included."""
    temperature = _settled(cooling, ambient_c, load.base_watts)
    for step in range(int(seconds / STEP_S) + 1):
        clock = max(LOWEST_CLOCK, load.clock_for(_allowed(cooling, ambient_c, temperature) - load.base_watts))
        watts, ms = load.drawn(clock), load.ms / clock
        yield Moment(step * STEP_S, temperature, clock, ms, watts, 1000 / ms * load.busy(clock))
        temperature = _after(cooling, temperature, _settled(cooling, ambient_c, load.base_watts + watts))


def duty_cycle(load: Load, cooling: Cooling, ambient_c: float) -> float:
    """The share of time, 0..1, that inference at the highest clock may take for ever without reaching the limit."""
    spare = (cooling.limit_c - ambient_c) / cooling.resistance_c_per_w - load.base_watts
    return min(1.0, max(0.0, spare / load.watts))


def _settled(cooling: Cooling, ambient_c: float, watts: float) -> float:
    return ambient_c + cooling.resistance_c_per_w * watts


def _after(cooling: Cooling, temperature: float, settled: float) -> float:
    return settled + (temperature - settled) * _kept(cooling)


def _allowed(cooling: Cooling, ambient_c: float, temperature: float) -> float:
    """Watts with which a step ends at the limit."""
    settled = (cooling.limit_c - temperature * _kept(cooling)) / (1 - _kept(cooling))
    return (settled - ambient_c) / cooling.resistance_c_per_w


def _kept(cooling: Cooling) -> float:
    return math.exp(-STEP_S / cooling.tau_s)
