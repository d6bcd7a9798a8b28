"""How latencies change from one NPU to another: `chips.json`, what `pocketfit predict --seen` goes by."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from itertools import permutations
from pathlib import Path

import numpy as np

from benchmarks.latency.hub import hub_table
from benchmarks.latency.hub_seen import step_between
from pocketfit.devices.predict import elsewhere

__all__ = ["CHIPS", "write_chips"]

CHIPS = Path(elsewhere.__file__).parent / "chips.json"


def write_chips(names: Mapping[str, str]) -> None:
    """Write the steps between all devices that ran four networks alike.

    Args:
        names: of profiles, by device as the table names it.
    """
    data = hub_table(layers_known=False)
    npus = [(row, way) for row, way in enumerate(data.ways) if way.processor == "npu" and way.device in names]
    steps: dict[str, dict[str, dict[str, tuple[float, float]]]] = defaultdict(lambda: defaultdict(dict))
    for (row, one), (other_row, other) in permutations(npus, 2):
        if (one.runtime, one.precision) != (other.runtime, other.precision):
            continue
        step = step_between(data.log_us[row], data.log_us[other_row])
        if step:
            figures = (float(f"{np.exp(step.log_times):.4g}"), round(step.spread, 3))
            steps[f"{one.runtime}/{one.precision}"][names[one.device]][names[other.device]] = figures
    ways = (f'"{way}": {{\n{_lines(devices)}\n }}' for way, devices in steps.items())
    CHIPS.write_text("{\n " + ",\n ".join(ways) + "\n}\n")


def _lines(devices: Mapping[str, Mapping[str, tuple[float, float]]]) -> str:
    """One line for each device."""
    return ",\n".join(f'  "{name}": {json.dumps(others)}' for name, others in devices.items())
