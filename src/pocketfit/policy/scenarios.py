"""Scenarios to try a policy on: a phone, how it starts, and what happens to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from pocketfit.policy.phone import Phone

__all__ = ["SCENARIOS", "Event", "Scenario"]

MINUTE_MS = 60_000


@dataclass(frozen=True)
class Event:
    """Args:
    at_ms: when it happens.
    changes: fields of `Reading` and what they are from then on.
    """

    at_ms: int
    changes: Mapping[str, Any]


@dataclass(frozen=True)
class Scenario:
    """Args:
    about: in a few words.
    phone: that it happens to.
    duration_ms: of the whole.
    battery_percent: at the beginning.
    events: in the order of their times.
    step_ms: time from frame to frame.
    has_sensors: whether battery and heat can be read.
    """

    about: str
    duration_ms: int
    phone: Phone = field(default_factory=Phone)
    battery_percent: int = 80
    events: tuple[Event, ...] = ()
    step_ms: int = 1_000
    has_sensors: bool = True


SCENARIOS: Final[Mapping[str, Scenario]] = MappingProxyType(
    {
        "camera": Scenario("an hour of camera at 25 °C", 60 * MINUTE_MS),
        "sun": Scenario("an hour of camera in the sun, 35 °C", 60 * MINUTE_MS, Phone(ambient_c=35.0)),
        "low-battery": Scenario(
            "from 30% down, and then plugged in",
            120 * MINUTE_MS,
            battery_percent=30,
            events=(Event(60 * MINUTE_MS, {"charging": True}),),
        ),
        "scenes": Scenario(
            "a high-security scene for five minutes, low-power mode later",
            30 * MINUTE_MS,
            events=(
                Event(5 * MINUTE_MS, {"scene": "high-security"}),
                Event(10 * MINUTE_MS, {"scene": None}),
                Event(20 * MINUTE_MS, {"low_power": True}),
            ),
        ),
        "no-sensors": Scenario(
            "battery and heat cannot be read",
            10 * MINUTE_MS,
            events=(Event(0, {"charging": None, "low_power": None, "memory_pressure": None}),),
            has_sensors=False,
        ),
        "memory": Scenario(
            "memory runs low twice",
            10 * MINUTE_MS,
            events=(
                Event(2 * MINUTE_MS, {"memory_pressure": 2}),
                Event(3 * MINUTE_MS, {"memory_pressure": 0}),
                Event(6 * MINUTE_MS, {"memory_pressure": 3}),
                Event(7 * MINUTE_MS, {"memory_pressure": 0}),
            ),
        ),
    }
)
