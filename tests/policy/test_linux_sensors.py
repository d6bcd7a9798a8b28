"""Linux sensors, on copies of what kernels show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pocketfit.policy import Reading
from pocketfit.policy.linux import LinuxSensors

BATTERY, MAINS, PROFILE = "power_supply/BAT0", "power_supply/AC", "../firmware/acpi/platform_profile"
ReadTree = Callable[[Mapping[str, str]], Reading]


@pytest.fixture
def read(tmp_path: Path) -> ReadTree:
    """Reads a tree of files given by their paths below sys/class."""

    def read(files: Mapping[str, str]) -> Reading:
        for name, text in files.items():
            path = tmp_path / "sys/class" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
        return LinuxSensors(tmp_path).read()

    return read


def zone(temp: int, **trips: int) -> dict[str, str]:
    files = {"thermal/thermal_zone0/temp": str(temp)}
    for index, (kind, at) in enumerate(trips.items()):
        files[f"thermal/thermal_zone0/trip_point_{index}_type"] = kind
        files[f"thermal/thermal_zone0/trip_point_{index}_temp"] = str(at)
    return files


def battery(capacity: int, status: str, **more: str) -> dict[str, str]:
    return {
        f"{BATTERY}/{name}": text
        for name, text in ({"type": "Battery", "capacity": str(capacity), "status": status} | more).items()
    }


def test_without_sensors_all_but_memory_is_unknown(read: ReadTree):
    reading = read({})
    assert (reading.battery_percent, reading.charging, reading.low_power) == (None, None, None)
    assert (reading.thermal_status, reading.headroom_permille) == (None, None)
    assert reading.memory_pressure in range(4)
    assert reading.time_ms > 0


@pytest.mark.parametrize(
    ("status", "charging"),
    [("Charging", True), ("Full", True), ("Discharging", False), ("Not charging", False), ("Unknown", None)],
)
def test_a_battery(read: ReadTree, status: str, charging: bool | None):
    reading = read(battery(57, status))
    assert (reading.battery_percent, reading.charging) == (57, charging)


@pytest.mark.parametrize(("online", "charging"), [("1", True), ("0", False)])
def test_mains_without_a_battery(read: ReadTree, online: str, charging: bool):
    reading = read({f"{MAINS}/type": "Mains", f"{MAINS}/online": online})
    assert (reading.battery_percent, reading.charging) == (None, charging)


def test_the_battery_of_a_mouse_is_none_of_the_device(read: ReadTree):
    assert read(battery(5, "Discharging", scope="Device")).battery_percent is None


@pytest.mark.parametrize(
    ("temp", "status", "headroom"),
    [
        (40_000, 0, 0),
        (65_000, 0, 500),
        (73_999, 0, 799),
        (74_000, 1, 800),
        (77_000, 2, 900),
        (80_000, 3, 1000),
        (83_000, 4, 1100),
        (86_000, 5, 1200),
        (95_000, 6, 1500),
    ],
)
def test_heat_is_counted_from_the_passive_trip(read: ReadTree, temp: int, status: int, headroom: int):
    reading = read(zone(temp, passive=80_000, critical=95_000))
    assert (reading.thermal_status, reading.headroom_permille) == (status, headroom)


def test_a_critical_trip_alone_puts_severe_ten_degrees_below(read: ReadTree):
    assert read(zone(90_000, critical=100_000)).headroom_permille == 1000


def test_the_hottest_zone_counts_and_those_that_cannot_be_read_do_not(read: ReadTree):
    cool = {name.replace("zone0", "zone1"): text for name, text in zone(30_000, passive=80_000).items()}
    asleep = {"thermal/thermal_zone2/temp": "", "thermal/thermal_zone2/trip_point_0_type": "passive"}
    off = {name.replace("zone0", "zone3"): text for name, text in zone(99_000, passive=-274_000).items()}
    assert read(zone(80_000, passive=80_000) | cool | asleep | off).thermal_status == 3


@pytest.mark.parametrize(("profile", "low"), [("low-power", True), ("balanced", False)])
def test_the_platform_profile_is_the_low_power_mode(read: ReadTree, tmp_path: Path, profile: str, low: bool):
    (tmp_path / "sys/class").mkdir(parents=True)
    assert read({PROFILE: profile}).low_power is low
