"""What an Android phone tells of itself, read from what its shell prints."""

from __future__ import annotations

import re
from collections.abc import Callable

from pocketfit.devices.measure.place import Condition, Cores

__all__ = ["condition_of", "name_of"]

Shell = Callable[[str], str]

# One line a cluster: its cores, the highest clock and the one of now in kilohertz.
_CLUSTERS = (
    "for p in /sys/devices/system/cpu/cpufreq/policy*; do "
    'echo "$(cat $p/related_cpus) / $(cat $p/cpuinfo_max_freq) / $(cat $p/scaling_cur_freq)"; done 2>/dev/null'
)
_SKIN = re.compile(r"Temperature\{mValue=([-\d.]+), mType=3,")


def name_of(shell: Shell) -> str:
    """The phone in words: maker, model, chip and release."""
    names = ("ro.product.manufacturer", "ro.product.model", "ro.soc.model", "ro.build.version.release")
    maker, model, chip, release = (shell(f"getprop {name}").strip() for name in names)
    return ", ".join(
        filter(None, (f"{maker} {model}".strip() or "a device", chip, f"Android {release}" if release else ""))
    )


def condition_of(shell: Shell) -> Condition:
    """Clusters, heat and battery as they are now; what the phone does not tell is unknown."""
    thermal, battery = shell("dumpsys thermalservice"), shell("dumpsys battery")
    skin = _SKIN.search(thermal.partition("Current temperatures from HAL")[2] or thermal)
    tenths = _integer(r"temperature: (-?\d+)", battery)
    powered = re.findall(r"(?:AC|USB|Wireless|Dock) powered: (true|false)", battery)
    return Condition(
        clusters=tuple(filter(None, map(_cluster, shell(_CLUSTERS).splitlines()))),
        thermal_status=_integer(r"Thermal Status: (\d+)", thermal),
        skin_c=float(skin[1]) if skin else None,
        battery_percent=_integer(r"level: (\d+)", battery),
        battery_c=None if tenths is None else tenths / 10,
        charging="true" in powered if powered else None,
    )


def _cluster(line: str) -> Cores | None:
    cores, _, clocks = line.partition("/")
    most, _, now = (part.strip() for part in clocks.partition("/"))
    if not cores.strip() or not most.isdecimal():
        return None
    return Cores(len(cores.split()), int(most) // 1000, int(now) // 1000 if now.isdecimal() else None)


def _integer(pattern: str, text: str) -> int | None:
    found = re.search(pattern, text)
    return int(found[1]) if found else None
