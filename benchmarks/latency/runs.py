"""The ncnn table: one run is one device, backend and number of threads, with a latency for each network."""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from benchmarks.latency.folder import latency_folder
from benchmarks.latency.ncnn_network import network_amounts
from pocketfit.devices.predict.speeds import amounts_vector

__all__ = ["TRAITS", "Run", "amounts_of", "is_int8", "latencies", "ncnn_runs", "traits", "without_precision"]

# One entry of the table spells its networks with hyphens.
_NAMES = {
    "squeezenet-int8": "squeezenet_int8",
    "squeezenet-ssd": "squeezenet_ssd",
    "mobilenet-ssd": "mobilenet_ssd",
    "mobilenet-yolo": "mobilenet_yolo",
}
_LITTLE_CORES = 1
_ALL_CORES = 0
_INT8 = "_int8"


@dataclass(frozen=True)
class Run:
    """What was measured at once.

    Args:
        number: of the run in the table.
        device: as the table names it.
        soc: the chip, in the table's words.
        kind: "phone", "sbc/edge", "laptop-arm", "pc/server" or "pc-gpu".
        backend: "cpu" or "gpu".
        threads: on the CPU.
        powersave: 0 for all cores, 1 for the little ones, 2 for the big ones.
        ms: shortest latency by network.
    """

    number: int
    device: str
    soc: str
    kind: str
    backend: str
    threads: int
    powersave: int
    ms: dict[str, float] = field(default_factory=dict)

    @property
    def arm(self) -> bool:
        """Whether it has ARM cores; servers may have them as well."""
        return self.kind == "phone" or (_matches(_ARM, self) and not _matches(_NOT_ARM, self))

    @property
    def mobile(self) -> bool:
        """Whether it is a phone, a board or a laptop with ARM cores."""
        return self.arm and self.kind in ("phone", "sbc/edge", "laptop-arm")


@cache
def ncnn_runs(backend: str = "cpu") -> tuple[Run, ...]:
    """Every run of the table on one backend."""
    runs: dict[int, Run] = {}
    with (latency_folder() / "ncnn_all.csv").open() as file:
        for row in csv.DictReader(file):
            number, ms = int(row["run_id"]), float(row["min_ms"])
            run = runs.setdefault(number, _run(number, row))
            if ms > 0:
                run.ms[_NAMES.get(row["model"], row["model"])] = ms
    return tuple(run for run in runs.values() if run.backend == backend)


def _run(number: int, row: dict[str, str]) -> Run:
    soc = f"{row['soc']} {row['device']}"
    return Run(number, row["device"], soc, row["class"], row["backend"], int(row["threads"]), int(row["powersave"]))


def latencies(runs: tuple[Run, ...], networks: tuple[str, ...]) -> np.ndarray:
    """Logarithms of microseconds, runs × networks; not a number where nothing was measured."""
    return np.array([[math.log(1000 * run.ms.get(one, math.nan)) for one in networks] for run in runs])


def amounts_of(networks: tuple[str, ...]) -> np.ndarray:
    """Units of work, networks × kinds."""
    return np.stack([amounts_vector(network_amounts(one)) for one in networks])


def is_int8(networks: tuple[str, ...]) -> np.ndarray:
    """Which of the networks are INT8."""
    return np.array([one.endswith(_INT8) for one in networks])


def without_precision(network: str) -> str:
    """The name of the architecture: a network and its INT8 form are left out together."""
    return network.removesuffix(_INT8)


_ARM = re.compile(r"Cortex|Kyro|Apple|armv8|ARMv|KunPeng|Carmel|Jetson|M1,|M3,|Oryon|FTC|D64ps|Denver", re.I)
_NOT_ARM = re.compile(r"loongson|sunway|VisionFive|TH1520|SG2000|Spacemit|Ingenic|Intel|AMD|Xeon", re.I)
_X86 = re.compile(r"intel|amd ryzen|threadripper|epyc|c5\.4x|D64s v6|D64as|xeon|i7-|celeron|atom", re.I)
_ARMV7 = re.compile(r"Cortex-A(5|7|9|17)\b|Cortex A7", re.I)
_LITTLE = re.compile(r"A53|A55|Cortex[- ]A7\b|Cortex-A5\b", re.I)
_BIG = re.compile(
    r"A57|A7[23568]|X1|X4|A720|Kyro|Apple|M1|M3|KunPeng|Oryon|FTC66|Carmel|Denver|Orin|D64ps|A17\b|A9\b|Jetson", re.I
)
_HALF = re.compile(r"A55|A7[5678]|X1|X4|A720|855|888|8 Gen 2|Kunpeng|M1,|M3,|Oryon|Orin|Carmel|D64ps|Xavier", re.I)
_NO_DOT_PRODUCT = re.compile(r"Carmel|M1,", re.I)
_I8MM = re.compile(r"X4|A720|8 Gen 2|M3,|Oryon|D64ps", re.I)
_APPLE = re.compile(r"Apple|M1,|M3,", re.I)
TRAITS = (
    "x86",
    "other",
    "armv7",
    "in order",
    "half",
    "dot",
    "i8mm",
    "apple",
    "threads",
    "half in order",
    "few",
    "many",
)


def traits(run: Run) -> np.ndarray:
    """What is known of a run before anything is measured, in the order of `TRAITS`."""
    x86, half, in_order = _matches(_X86, run), _matches(_HALF, run), _in_order(run)
    doublings = math.log2(run.threads)
    values = (
        x86,
        _matches(_NOT_ARM, run) and not x86,
        _matches(_ARMV7, run),
        in_order,
        half,
        half and not _matches(_NO_DOT_PRODUCT, run),
        _matches(_I8MM, run),
        _matches(_APPLE, run),
        doublings / 2,
        half and in_order,
        min(doublings, 2) / 2,
        doublings > 3,
    )
    return np.array(values, float)


def _in_order(run: Run) -> bool:
    """Whether the cores that were used compute in order, as ARM's small ones do."""
    little = _matches(_LITTLE, run)
    only_little = run.powersave == _LITTLE_CORES or (run.powersave == _ALL_CORES and run.threads > 4)
    return little and (only_little or not _matches(_BIG, run))


def _matches(pattern: re.Pattern[str], run: Run) -> bool:
    return bool(pattern.search(run.soc))
