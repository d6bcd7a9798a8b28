"""Battery, heat and memory of a Linux board or laptop, from /sys and psutil."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pocketfit.policy.sensors import Reading

__all__ = ["LinuxSensors", "SensorSource"]

# As Android does: a headroom of 0 lies so far below severe throttling.
HEADROOM_SPAN_MC = 30_000
# From severe throttling, where each thermal status from light to emergency begins; shutdown is the critical trip.
STATUS_STEPS_MC = (-6_000, -3_000, 0, 3_000, 6_000)
# Where a zone has a critical trip alone, severe throttling is taken to begin so far below it.
BELOW_CRITICAL_MC = 10_000
# Available memory, in per mille of all, below which pressure is critical, low and moderate.
MEMORY_STEPS_PERMILLE = (50, 100, 200)


class SensorSource(Protocol):
    """Where an app gets its readings from."""

    def read(self) -> Reading:
        """The sensors as they are now; what cannot be read is unknown."""
        ...


@dataclass(frozen=True)
class LinuxSensors:
    """The sensors that the kernel shows; `frame_us` and `scene` are the app's to add, by `dataclasses.replace`.

    Args:
        root: "/", or a copy of its sys folder below another one.
    """

    root: Path = Path("/")

    def read(self) -> Reading:
        """The sensors as they are now; what cannot be read is unknown."""
        hottest = _hottest(self.root / "sys/class/thermal")
        supplies = list((self.root / "sys/class/power_supply").glob("*"))
        return Reading(
            time_ms=time.monotonic_ns() // 1_000_000,
            battery_percent=_battery_percent(supplies),
            charging=_charging(supplies),
            thermal_status=None if hottest is None else hottest.status,
            headroom_permille=None if hottest is None else hottest.headroom_permille,
            memory_pressure=_memory_pressure(),
            low_power=_low_power(self.root / "sys/firmware/acpi/platform_profile"),
        )


@dataclass(frozen=True, order=True)
class _Zone:
    """A thermal zone: millidegrees above severe throttling, and whether its critical trip is reached."""

    is_critical: bool
    above_mc: int

    @property
    def status(self) -> int:
        return 6 if self.is_critical else sum(self.above_mc >= step for step in STATUS_STEPS_MC)

    @property
    def headroom_permille(self) -> int:
        return max(0, (self.above_mc + HEADROOM_SPAN_MC) * 1000 // HEADROOM_SPAN_MC)


def _hottest(folder: Path) -> _Zone | None:
    zones = [zone for path in folder.glob("thermal_zone*") if (zone := _zone(path)) is not None]
    return max(zones, default=None)


def _zone(path: Path) -> _Zone | None:
    """A zone as far as its trips say what is hot for it; None for one without."""
    temperature = _number(path / "temp")
    trips = dict(sorted(_trips(path), reverse=True))  # the lowest of a kind comes last and stays
    critical = trips.get("critical")
    assumed = None if critical is None else critical - BELOW_CRITICAL_MC
    severe = next((trips[kind] for kind in ("passive", "hot") if kind in trips), assumed)
    if temperature is None or severe is None:
        return None
    return _Zone(critical is not None and temperature >= critical, temperature - severe)


def _trips(path: Path) -> Iterator[tuple[str, int]]:
    """Kind and temperature of each trip; those at or below 0 °C are switched off."""
    for kind in path.glob("trip_point_*_type"):
        at = _number(kind.with_name(kind.name.replace("_type", "_temp")))
        if at is not None and at > 0:
            yield _text(kind), at


def _batteries(supplies: Iterable[Path]) -> list[Path]:
    """Those that power the device, and not those of its mouse."""
    return [path for path in supplies if _text(path / "type") == "Battery" and _text(path / "scope") != "Device"]


def _battery_percent(supplies: Iterable[Path]) -> int | None:
    known = [percent for path in _batteries(supplies) if (percent := _number(path / "capacity")) is not None]
    return sum(known) // len(known) if known else None


def _charging(supplies: list[Path]) -> bool | None:
    online = [_number(path / "online") for path in supplies if _text(path / "type") not in ("Battery", "")]
    if any(online):
        return True
    states = [_text(path / "status") for path in _batteries(supplies)]
    known = [state for state in states if state not in ("", "Unknown")]
    if known:
        return any(state in ("Charging", "Full") for state in known)
    return False if 0 in online else None


def _memory_pressure() -> int:
    import psutil

    memory = psutil.virtual_memory()
    return sum(memory.available * 1000 < memory.total * step for step in MEMORY_STEPS_PERMILLE)


def _low_power(profile: Path) -> bool | None:
    text = _text(profile)
    return text == "low-power" if text else None


def _number(path: Path) -> int | None:
    try:
        return int(_text(path))
    except ValueError:
        return None


def _text(path: Path) -> str:
    """What stands in a file; nothing where it cannot be read, as a sensor that sleeps."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
