"""The AI Hub table: networks on Snapdragon chips by runtime, precision and processor, one network left out at a time.

Only networks whose layers are known (`hub_networks`) take part. A run is a device, runtime and precision on the
processor that computed most of the network. Latencies of which the CPU has a part are left out: what is measured there
is the CPU, and the way to it and back.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from functools import cache

import numpy as np

from benchmarks.latency.fit import DEVIATIONS, Fitted, fit
from benchmarks.latency.folder import latency_folder
from benchmarks.latency.hub_networks import hub_amounts
from benchmarks.latency.scores import Predicted
from pocketfit.devices.predict.kinds import NPU_KINDS
from pocketfit.devices.predict.speeds import amounts_vector

__all__ = ["SPREAD", "HubTable", "Way", "as_predictions", "by_macs", "fit_hub", "hub_table", "unseen_hub_networks"]

RUNTIMES = {"tflite": "litert", "onnx": "onnxruntime", "qnn_dlc": "qnn"}
PRECISIONS = {"float": "float16", "w8a8": "int8", "w8a16": "int8x16"}
LEAST_NETWORKS = 6
_MACS = [kind.group in ("arithmetic", "depthwise") for kind in NPU_KINDS]
# Accelerators of one maker share their design more than processors do their cores.
_NPU_DEVIATIONS = DEVIATIONS | {
    "trait_kind": 0.2,
    "trait_group": 0.5,
    "run_kind": 0.03,
    "run_group": 0.3,
}
# Of what a network takes beyond its kinds of work.
SPREAD = 0.25


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
def hub_table(*, layers_known: bool = True) -> HubTable:
    """Every way that was measured with several networks.

    Args:
        layers_known: only networks whose layers are known. The others have zeros as amounts.
    """
    amounts, measured = hub_amounts(), defaultdict[Way, dict[tuple[str, str], float]](dict)
    with (latency_folder() / "qaihub_perf.csv").open() as file:
        for row in csv.DictReader(file):
            network, way = (row["model_id"], row["component"]), _way(row)
            if way and (network in amounts or not layers_known):
                measured[way][network] = float(row["inference_ms"])
    ways = tuple(sorted(way for way, ms in measured.items() if len(ms) >= LEAST_NETWORKS))
    networks = tuple(sorted({network for way in ways for network in measured[way]}))
    log_us = [[np.log(1000 * measured[way].get(one, np.nan)) for one in networks] for way in ways]
    work = np.stack([amounts_vector(amounts.get(one, {}), NPU_KINDS) for one in networks])
    return HubTable(ways, networks, np.array(log_us), work)


def _way(row: dict[str, str]) -> Way | None:
    runtime, precision = RUNTIMES.get(row["runtime"]), PRECISIONS.get(row["precision"])
    if runtime is None or precision is None or float(row["inference_ms"] or 0) <= 0 or int(row["layers_cpu"] or 0):
        return None
    return Way(row["device"], runtime, precision, row["primary_compute_unit"].lower())


def fit_hub(data: HubTable, networks: np.ndarray) -> Fitted:
    """Speeds of every way, as some of the networks tell them.

    Args:
        data: the table.
        networks: which of them count.
    """
    floats = np.zeros(int(networks.sum()), bool)
    return fit(data.log_us[:, networks], data.amounts[networks], floats, data.traits, _NPU_DEVIATIONS, NPU_KINDS)


def unseen_hub_networks(data: HubTable) -> np.ndarray:
    """Logarithms of microseconds of every network, each predicted from the others: ways × networks."""
    predicted = np.full_like(data.log_us, np.nan)
    for column in range(len(data.networks)):
        # The table has some networks twice, under two names: both are left out.
        rest = (data.amounts != data.amounts[column]).any(axis=1)
        fitted = fit_hub(data, rest)
        predicted[:, [column]] = fitted.predicted(data.amounts[[column]], np.zeros(1, bool), data.traits)
    return predicted


def by_macs(data: HubTable) -> np.ndarray:
    """Time in proportion to multiply-accumulates at the speed of the other networks: ways × networks."""
    macs = data.amounts[:, _MACS].sum(axis=1)
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
