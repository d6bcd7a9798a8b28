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

from benchmarks.latency.fit import DEVIATIONS, Fitted, fit
from benchmarks.latency.folder import latency_folder
from benchmarks.latency.hub_networks import hub_amounts
from benchmarks.latency.scores import Predicted
from pocketfit.devices.predict.speeds import amounts_vector

__all__ = [
    "HubTable",
    "Named",
    "Step",
    "Way",
    "as_predictions",
    "by_macs",
    "fastest_named",
    "fit_hub",
    "hub_table",
    "seen_elsewhere",
    "step_between",
    "unseen_hub_networks",
]

RUNTIMES = {"tflite": "litert", "onnx": "onnxruntime", "qnn_dlc": "qnn"}
PRECISIONS = {"float": "float16", "w8a8": "int8", "w8a16": "int8x16"}
LEAST_NETWORKS = 6
# Accelerators share their design more than processors do their cores, and differ more from what the priors are of.
_NPU_DEVIATIONS = DEVIATIONS | {
    "kind": 1.0,
    "trait_kind": 0.1,
    "trait_group": 0.4,
    "run_kind": 0.03,
    "run_group": 0.2,
}
SPREAD = 0.3
# Networks that two chips share, for one to tell of the other; and what a single one of them would leave in doubt.
LEAST_SHARED, STEP_DOUBT = 4, 0.15
# A normal distribution's standard deviation over its median deviation.
NORMAL = 1.483
# A choice that is so much slower than the best one, at most, is as good.
AS_GOOD = 1.05


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


def fit_hub(data: HubTable, networks: np.ndarray) -> Fitted:
    """Speeds of every way, as some of the networks tell them.

    Args:
        data: the table.
        networks: which of them count.
    """
    floats = np.zeros(int(networks.sum()), bool)
    return fit(data.log_us[:, networks], data.amounts[networks], floats, data.traits, _NPU_DEVIATIONS)


def unseen_hub_networks(data: HubTable) -> np.ndarray:
    """Logarithms of microseconds of every network, each predicted from the others: ways × networks."""
    predicted = np.full_like(data.log_us, np.nan)
    for column in range(len(data.networks)):
        rest = np.arange(len(data.networks)) != column
        fitted = fit_hub(data, rest)
        predicted[:, [column]] = fitted.predicted(data.amounts[[column]], np.zeros(1, bool), data.traits)
    return predicted


def seen_elsewhere(data: HubTable) -> np.ndarray:
    """Logarithms of microseconds of every network, by what it takes on one other chip: ways × networks.

    The chip that the other networks say is most alike, of those that have it with the same runtime and precision; not a
    number where none has.
    """
    moved = np.full_like(data.log_us, np.nan)
    for column in range(len(data.networks)):
        rest = np.delete(data.log_us, column, axis=1)
        for row in np.flatnonzero(np.isfinite(data.log_us[:, column])):
            others = [one for one in _elsewhere(data, row) if np.isfinite(data.log_us[one, column])]
            found = [(one, step) for one in others if (step := step_between(rest[one], rest[row]))]
            if found:
                other, step = min(found, key=lambda pair: pair[1].spread)
                moved[row, column] = data.log_us[other, column] + step.log_times
    return moved


def _elsewhere(data: HubTable, row: int) -> Iterator[int]:
    """The same runtime, precision and processor on other devices."""
    own = data.ways[row]
    for other, way in enumerate(data.ways):
        if other != row and replace(way, device=own.device) == own:
            yield other


@dataclass(frozen=True)
class Step:
    """From one chip to another.

    Args:
        log_times: median of the logarithm of the ratio of their latencies.
        spread: standard deviation of a network's ratio around it, as the median deviation tells it.
    """

    log_times: float
    spread: float


def step_between(one: np.ndarray, other: np.ndarray) -> Step | None:
    """How latencies change from one chip to another, if enough networks ran on both.

    Args:
        one: logarithms of latencies, by network; not a number where nothing was measured.
        other: likewise.
    """
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < LEAST_SHARED:
        return None
    change = (other - one)[both]
    median = float(np.median(change))
    # A few networks may agree by chance: the fewer, the less they are trusted.
    doubt = STEP_DOUBT / np.sqrt(both.sum())
    return Step(median, float(NORMAL * np.median(np.abs(change - median)) + doubt))


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


def fastest_named(data: HubTable, predicted: np.ndarray) -> tuple[Named, Named]:
    """How often the fastest runtime and precision of a network on a device is named right.

    Returns:
        By prediction, and by always naming what is most often fastest on other networks.
    """
    slower: list[float] = []
    usual_slower: list[float] = []
    devices = np.array([way.device for way in data.ways])
    for column in range(len(data.networks)):
        usual = _usual(data, column)
        for device in np.unique(devices):
            rows = np.flatnonzero((devices == device) & np.isfinite(data.log_us[:, column]))
            if len(rows) < 2:
                continue
            log_us = data.log_us[rows, column] - data.log_us[rows, column].min()
            slower.append(log_us[np.argmin(predicted[rows, column])])
            usual_slower.append(log_us[np.argmax([usual[_choice(data.ways[row])] for row in rows])])
    return _named(slower), _named(usual_slower)


@dataclass(frozen=True)
class Named:
    """How often the fastest way was named right, and how often one as good; of devices and networks with two ways."""

    right: float
    as_good: float
    cases: int


def _named(slower: list[float]) -> Named:
    times = np.exp(slower)
    return Named(float((times == 1).mean()), float((times <= AS_GOOD).mean()), len(times))


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
