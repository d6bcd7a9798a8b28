"""`pocketfit policy sensors`: what this Linux board tells a policy."""

from __future__ import annotations

from dataclasses import asdict

from pocketfit.cli.options import AsJson
from pocketfit.cli.output import console, print_json, table

__all__ = ["sensors"]


def sensors(as_json: AsJson = False) -> None:
    """Read battery, heat and memory of this Linux board, as a policy sees them.

    Example: pocketfit policy sensors --json
    """
    from pocketfit.policy.linux import LinuxSensors
    from pocketfit.policy.sensors import RANGES, Sensor

    reading = LinuxSensors().read()
    if as_json:
        print_json(asdict(reading))
        return
    rows = [
        (
            sensor,
            "unknown" if (value := reading.value(sensor)) is None else str(value),
            "{} to {}".format(*RANGES[sensor]),
        )
        for sensor in RANGES
        if sensor is not Sensor.FRAME_US  # the app's own
    ]
    console().print(table(rows, ("sensor", "now", "range")))
