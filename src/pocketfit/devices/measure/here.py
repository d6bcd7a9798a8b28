"""This host as a place to measure."""

from __future__ import annotations

from pathlib import Path

from pocketfit.devices.host import describe_host, measure_on_host
from pocketfit.devices.measure.place import Condition, Round
from pocketfit.types import Artifact

__all__ = ["Here"]


class Here:
    """This host: every round in a process of its own.

    Args:
        log: receives what runtimes print.
    """

    def __init__(self, log: Path | None = None) -> None:
        self._log = log

    @property
    def where(self) -> str:
        """The machine in words."""
        return describe_host()

    def condition(self) -> Condition:
        """The battery, where there is one."""
        import psutil

        # Absent on some systems, None on machines without a battery.
        battery = getattr(psutil, "sensors_battery", lambda: None)()
        if battery is None:
            return Condition()
        return Condition(battery_percent=round(battery.percent), charging=battery.power_plugged)

    def run(self, artifact: Artifact, *, threads: int, runs: int, batch: int = 1) -> Round:
        """Run an artifact at least so many times.

        Raises:
            OptionError: this host has fewer cores.
            RuntimeMissing: the runtime's packages are not installed.
            IsolationError: the runtime crashed or hung.
        """
        (latency,), _ = measure_on_host(artifact, threads=(threads,), runs=runs, log=self._log, batch=batch)
        return Round(latency.median_ms, latency.runs, "median")
