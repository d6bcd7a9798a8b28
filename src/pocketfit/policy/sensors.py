"""What a policy can look at: the sensors, their ranges, and one reading of them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, Final

from pydantic import ConfigDict

__all__ = ["FLAGS", "RANGES", "STRICT", "Reading", "Sensor"]

# In JSON: no unknown keys, and no text or fraction in place of a whole number.
STRICT: Final = ConfigDict(extra="forbid", strict=True)


class Sensor(StrEnum):
    """By the name it has in a policy and in a trace; docs/policy.md says where each platform reads it."""

    BATTERY_PERCENT = "battery_percent"
    CHARGING = "charging"
    THERMAL_STATUS = "thermal_status"
    HEADROOM_PERMILLE = "headroom_permille"
    MEMORY_PRESSURE = "memory_pressure"
    LOW_POWER = "low_power"
    FRAME_US = "frame_us"
    SCENE = "scene"


# Least and greatest value; whatever lies outside counts as unknown. A scene is a word and has no range.
RANGES: Final[Mapping[Sensor, tuple[int, int]]] = MappingProxyType(
    {
        Sensor.BATTERY_PERCENT: (0, 100),
        Sensor.CHARGING: (0, 1),
        Sensor.THERMAL_STATUS: (0, 6),
        Sensor.HEADROOM_PERMILLE: (0, 10_000),
        Sensor.MEMORY_PRESSURE: (0, 3),
        Sensor.LOW_POWER: (0, 1),
        Sensor.FRAME_US: (0, 2**31 - 1),
    }
)

FLAGS: Final = frozenset({Sensor.CHARGING, Sensor.LOW_POWER})


@dataclass(frozen=True)
class Reading:
    """All that is known at one frame; None is unknown.

    Args:
        time_ms: of a clock that never goes back, 0..2^53 - 1; an earlier time than before counts as no time passed.
        battery_percent: 0..100.
        charging: whether the battery is being charged or full on a charger.
        thermal_status: 0..6 as Android's PowerManager counts: none, light, moderate, severe, critical, emergency,
            shutdown.
        headroom_permille: how much of the way to severe throttling is used up, 1000 at it; 0..10000.
        memory_pressure: 0..3: none, moderate, low, critical.
        low_power: whether the user has switched the low-power mode on.
        frame_us: what an inference takes at present, in microseconds.
        scene: a tag that the app gives, such as "high-security".
        in_flight: frames that the variant in use has taken and not yet answered.
        ready: whether the variant that was last asked for is open.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    time_ms: int
    battery_percent: int | None = None
    charging: bool | None = None
    thermal_status: int | None = None
    headroom_permille: int | None = None
    memory_pressure: int | None = None
    low_power: bool | None = None
    frame_us: int | None = None
    scene: str | None = None
    in_flight: int = 0
    ready: bool = True

    def value(self, sensor: Sensor) -> int | str | None:
        """What that sensor says; None when it is unknown or outside its range."""
        value: int | str | None = getattr(self, sensor)
        if value is None or isinstance(value, str):
            return value
        lowest, highest = RANGES[sensor]
        return value if lowest <= value <= highest else None
