"""Phones of the table of other runtimes: few networks each, as a user's own measurements would be."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from functools import cache

import numpy as np

from benchmarks.latency.folder import latency_folder
from benchmarks.latency.hub import Way
from benchmarks.latency.hub_networks import hub_amounts
from benchmarks.latency.ncnn_network import network_amounts
from pocketfit.devices.predict.geometry import Convolution, convolution_amounts, linear_amounts
from pocketfit.devices.predict.kinds import kinds_of
from pocketfit.devices.predict.speeds import amounts_vector

__all__ = ["other_phones"]

RUNTIMES = {"TFLite": "litert", "XNNPACK 2020-03": "litert", "MNN 2019-06": "mnn", "Core ML iOS17": "coreml"}
PRECISIONS = {"fp32": "float32", "int8": "int8", "default(precision=2)": "float32", "Float16": "float16"}
PROCESSORS = {"cpu": "cpu", "gpu": "gpu", "all(ANE)": "npu"}
# Cores that the table's "as many threads as big cores" means.
BIG_CORES = {"Google Pixel 1": 2, "Google Pixel 2": 4, "Google Pixel 3a": 2}

# The networks of that table whose layers are known: those of the ncnn table by other names.
_SAME = {
    "Mobilenet_1.0_224": "mobilenet",
    "mobilenet-v1-1.0": "mobilenet",
    "MobileNet v1 1.0X": "mobilenet",
    "MobileNetV2_224": "mobilenet_v2",
    "MobileNet v2 1.0X": "mobilenet_v2",
    "MobileNetv2-1.0": "mobilenet_v2",
    "Mobilenet_V2_1.0_224": "mobilenet_v2",
    "MobileNet v3 Large": "mobilenet_v3",
    "ResNet50": "resnet50",
    "resnet-v2-50": "resnet50",
}
# Those that run on NPUs, as the AI Hub table calls them.
_BUILT = {"MobileNetv2-1.0": ("mobilenet_v2", "MobileNet-v2"), "ResNet50": ("resnet50", "ResNet50")}
_MOBILENET_V1 = re.compile(r"Mobilenet_V1_(\d\.\d+)_(\d+)(?:_quant)?$")
# Filters and stride of each pair of a depthwise and a 1x1 convolution.
_MOBILENET_V1_PAIRS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))

Measured = list[tuple[np.ndarray, float]]


@cache
def other_phones() -> dict[tuple[Way, int], Measured]:
    """Amounts and milliseconds of each way to run networks and number of threads."""
    found = defaultdict[tuple[Way, int], Measured](list)
    with (latency_folder() / "other_phones.csv").open() as file:
        for row in csv.DictReader(file):
            way = _way(row)
            amounts = _amounts_on(way.processor, row["model"]) if way else {}
            if way and amounts:
                vector = amounts_vector(amounts, kinds_of(way.processor))
                found[way, _threads(row)].append((vector, float(row["latency_ms"])))
    return dict(found)


def _way(row: dict[str, str]) -> Way | None:
    runtime, precision = RUNTIMES.get(row["engine"]), PRECISIONS.get(row["precision"])
    processor = PROCESSORS.get(row["backend"])
    return Way(row["device"], runtime, precision, processor) if runtime and precision and processor else None


def _threads(row: dict[str, str]) -> int:
    return BIG_CORES[row["device"]] if row["threads"] == "n_big_cores" else int(row["threads"] or 1)


def _amounts_on(processor: str, name: str) -> dict[str, float]:
    return hub_amounts().get(_BUILT.get(name, ("", "")), {}) if processor == "npu" else _network_amounts(name)


def _network_amounts(name: str) -> dict[str, float]:
    if name in _SAME:
        return network_amounts(_SAME[name])
    found = _MOBILENET_V1.match(name)
    return _mobilenet_v1(float(found[1]), int(found[2])) if found else {}


def _mobilenet_v1(width: float, side: int) -> dict[str, float]:
    """Source: Howard et al., "MobileNets", 2017, table 1, with its two multipliers."""
    total = defaultdict[str, float](float)
    channels, side = round(32 * width), side // 2
    _add(total, _convolution(3, channels, 3, side, 2, 1))
    for filters, stride in _MOBILENET_V1_PAIRS:
        side = -(-side // stride)
        _add(total, _convolution(channels, channels, 3, side, stride, channels))
        _add(total, _convolution(channels, round(filters * width), 1, side, 1, 1))
        channels = round(filters * width)
    _add(total, linear_amounts(1, channels * 1001))
    return dict(total)


def _convolution(channels: int, filters: int, kernel: int, side: int, stride: int, groups: int) -> dict[str, float]:
    traffic = side**2 * (stride**2 * channels + filters)
    return convolution_amounts(
        Convolution(channels, filters, (kernel, kernel), (side, side), stride, 1, groups, traffic)
    )


def _add(total: dict[str, float], amounts: dict[str, float]) -> None:
    for kind, amount in amounts.items():
        total[kind] += amount
