"""A phone that heats up under load and cools down again, and whose battery drains: a model, not a measurement."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from pocketfit.policy.sensors import Reading

__all__ = ["Phone", "PhoneState"]

# Android's ThermalManagerService puts a headroom of 0 thirty degrees below severe throttling.
HEADROOM_SPAN_C = 30.0
# Degrees from severe throttling at which each thermal status begins, light to shutdown.
STATUS_STEPS_C = (-6.0, -3.0, 0.0, 3.0, 6.0, 9.0)
MS_PER_HOUR = 3_600_000


@dataclass(frozen=True)
class PhoneState:
    """Args:
    temperature_c: of the skin.
    energy_mwh: left in the battery.
    """

    temperature_c: float
    energy_mwh: float


@dataclass(frozen=True)
class Phone:
    """One thermal mass with one resistance to the air, and a battery without losses.

    Newton's law of cooling with the power that is drawn as its source: dT/dt = (ambient + resistance * P - T) / tau,
    solved exactly for a power that is constant over a step. The defaults are plausible for a phone of 2020, and
    measured on none.

    Args:
        ambient_c: temperature of the air.
        resistance_c_per_w: steady rise per watt.
        tau_s: after which 63% of a change of temperature has happened.
        severe_c: skin temperature at which severe throttling begins.
        capacity_mwh: of the full battery.
        idle_mw: drawn without inference, screen and camera included.
        infer_mw: drawn on top by a variant that does not say how much.
        charge_mw: put into the battery by a charger.
    """

    ambient_c: float = 25.0
    resistance_c_per_w: float = 7.0
    tau_s: float = 240.0
    severe_c: float = 43.0
    capacity_mwh: float = 15_000.0
    idle_mw: float = 900.0
    infer_mw: float = 2_000.0
    charge_mw: float = 7_500.0

    def start(self, battery_percent: int) -> PhoneState:
        """At the temperature that it has when idle, and so much in the battery."""
        return PhoneState(self._settled(self.idle_mw), self.capacity_mwh * battery_percent / 100)

    def after(self, state: PhoneState, step_ms: int, power_mw: float, *, charging: bool) -> PhoneState:
        """The state after a step.

        Args:
            state: before it.
            step_ms: its length.
            power_mw: of inference, on top of idling.
            charging: whether a charger is plugged in.
        """
        drawn = self.idle_mw + power_mw
        settled = self._settled(drawn)
        kept = math.exp(-step_ms / 1000 / self.tau_s)
        energy = state.energy_mwh + ((self.charge_mw if charging else 0.0) - drawn) * step_ms / MS_PER_HOUR
        return PhoneState(
            temperature_c=settled + (state.temperature_c - settled) * kept,
            energy_mwh=min(max(energy, 0.0), self.capacity_mwh),
        )

    def read(self, state: PhoneState, reading: Reading) -> Reading:
        """The reading with what this phone's sensors say."""
        above = state.temperature_c - self.severe_c
        return replace(
            reading,
            battery_percent=math.ceil(100 * state.energy_mwh / self.capacity_mwh),
            thermal_status=sum(above >= step for step in STATUS_STEPS_C),
            headroom_permille=max(0, math.floor(1000 * (above / HEADROOM_SPAN_C + 1))),
        )

    def _settled(self, power_mw: float) -> float:
        return self.ambient_c + self.resistance_c_per_w * power_mw / 1000
