"""The AI Hub table: networks on Snapdragon chips by runtime, precision and processor, one network left out at a time.

Only networks whose layers are known (`hub_networks`) take part. A run is a device, runtime and precision on the
processor that computed most of the network.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from benchmarks.latency.fit import fit
from benchmarks.latency.folder import latency_folder
from benchmarks.latency.hub_networks import hub_amounts
from benchmarks.latency.scores import Predicted
from pocketfit.devices.predict.speeds import amounts_vector

__all__ = [
    "HubTable",
    "Way",
    "as_predictions",
    "by_macs",
    "fastest_named",
    "hub_table",
    "seen_elsewhere",
    "unseen_hub_networks",
]

RUNTIMES = {"tflite": "litert", "onnx": "onnxruntime", "qnn_dlc": "qnn"}
PRECISIONS = {"float": "float16", "w8a8": "int8", "w8a16": "int8x16"}
LEAST_NETWORKS = 6
SPREAD = 0.3


@dataclass(frozen=True, order=True)
class Way:
    """One way to run networks, in the words of profiles."""

    device: str
    runtime: str
    precision: str
    processor: str


@dataclass(frozen=True)
class HubTable:
    """The table as arrays.

    Args:
        ways: in rows.
        networks: `model_id` and component, in columns.
        log_us: ways × networks; not a number where nothing was measured.
        amounts: networks × kinds.
    """

    ways: tuple[Way, ...]
    networks: tuple[tuple[str, str], ...]
    log_us: np.ndarray
    amounts: np.ndarray

    @property
    def traits(self) -> np.ndarray:
        """Device, runtime, precision and processor of each way, one column for each that there is."""
        columns = []
        for of in ("device", "runtime", "precision", "processor"):
            values = sorted({getattr(way, of) for way in self.ways})
            columns += [[float(getattr(way, of) == value) for way in self.ways] for value in values]
        return np.array(columns).T


@cache
def hub_table() -> HubTable:
    """Every way that was measured with several of the networks whose layers are known."""
    amounts, measured = hub_amounts(), defaultdict[Way, dict[tuple[str, str], float]](dict)
    with (latency_folder() / "qaihub_perf.csv").open() as file:
        for row in csv.DictReader(file):
            network, way = (row["model_id"], row["component"]), _way(row)
            if way and network in amounts:
                measured[way][network] = float(row["inference_ms"])
    ways = tuple(sorted(way for way, ms in measured.items() if len(ms) >= LEAST_NETWORKS))
    networks = tuple(sorted({network for way in ways for network in measured[way]}))
    log_us = [[np.log(1000 * measured[way].get(one, np.nan)) for one in networks] for way in ways]
    return HubTable(ways, networks, np.array(log_us), np.stack([amounts_vector(amounts[one]) for one in networks]))


def _way(row: dict[str, str]) -> Way | None:
    runtime, precision = RUNTIMES.get(row["runtime"]), PRECISIONS.get(row["precision"])
    if runtime is None or precision is None or float(row["inference_ms"] or 0) <= 0:
        return None
    processor = row["primary_compute_unit"].lower()
    return Way(row["device"], runtime, precision, processor)


def unseen_hub_networks(data: HubTable) -> np.ndarray:
    """Logarithms of microseconds of every network, each predicted from the others: ways × networks."""
    floats = np.zeros(len(data.networks), bool)
    predicted = np.full_like(data.log_us, np.nan)
    for column in range(len(data.networks)):
        rest = np.arange(len(data.networks)) != column
        fitted = fit(data.log_us[:, rest], data.amounts[rest], floats[rest], data.traits)
        predicted[:, [column]] = fitted.predicted(data.amounts[[column]], floats[[column]], data.traits)
    return predicted


def seen_elsewhere(data: HubTable, predicted: np.ndarray) -> np.ndarray:
    """Logarithms of microseconds of every network, moved by how far off it is on one other chip: ways × networks.

    The first chip by name that has the network with the same runtime and precision; not a number where none has.

    Args:
        data: the table.
        predicted: each network from the others alone.
    """
    moved = np.full_like(data.log_us, np.nan)
    for row, column in np.argwhere(np.isfinite(data.log_us)):
        other = next(_elsewhere(data, row, column), None)
        if other is not None:
            moved[row, column] = predicted[row, column] + data.log_us[other, column] - predicted[other, column]
    return moved


def _elsewhere(data: HubTable, row: int, column: int) -> Iterator[int]:
    own = data.ways[row]
    for other, way in enumerate(data.ways):
        if other != row and replace(way, device=own.device) == own and np.isfinite(data.log_us[other, column]):
            yield other


def by_macs(data: HubTable, macs: np.ndarray) -> np.ndarray:
    """Time in proportion to multiply-accumulates at the speed of the other networks: ways × networks."""
    level = data.log_us - np.log(macs)
    columns = [np.nanmean(np.delete(level, column, axis=1), axis=1) for column in range(len(data.networks))]
    return np.column_stack(columns) + np.log(macs)


def as_predictions(data: HubTable, predicted: np.ndarray) -> list[Predicted]:
    """The errors on accelerators, by network."""
    found = []
    for row, column in np.argwhere(np.isfinite(data.log_us) & np.isfinite(predicted)):
        if data.ways[row].processor != "cpu":
            error = float(predicted[row, column] - data.log_us[row, column])
            found.append(Predicted(str(data.networks[column]), error, SPREAD))
    return found


def fastest_named(data: HubTable, predicted: np.ndarray) -> tuple[float, float, int]:
    """How often the fastest runtime and precision of a network on a device is named right.

    Returns:
        The share by prediction, the share by always naming what is most often fastest on other networks, and the number
        of cases: devices and networks with at least two ways.
    """
    right = usual_right = cases = 0
    devices = np.array([way.device for way in data.ways])
    for column in range(len(data.networks)):
        usual = _usual(data, column)
        for device in np.unique(devices):
            rows = np.flatnonzero((devices == device) & np.isfinite(data.log_us[:, column]))
            if len(rows) < 2:
                continue
            best = rows[np.argmin(data.log_us[rows, column])]
            cases += 1
            right += bool(best == rows[np.argmin(predicted[rows, column])])
            usual_right += bool(best == max(rows, key=lambda row: usual[_choice(data.ways[row])]))
    return right / cases, usual_right / cases, cases


def _usual(data: HubTable, without: int) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    devices = np.array([way.device for way in data.ways])
    for column in range(len(data.networks)):
        for device in np.unique(devices) if column != without else ():
            rows = np.flatnonzero((devices == device) & np.isfinite(data.log_us[:, column]))
            if len(rows):
                found[_choice(data.ways[rows[np.argmin(data.log_us[rows, column])]])] += 1
    return found


def _choice(way: Way) -> tuple[str, str]:
    return (way.runtime, way.precision)
