"""`python -m benchmarks.latency.write_profiles`: the shipped device profiles, from hardware.toml and the tables.

Every target starts from what runs with the same traits have in common and is adapted to what was measured on the device
itself, with the same code that adapts a profile to a user's measurements.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.latency.chips import write_chips
from benchmarks.latency.fit import Fitted, fit
from benchmarks.latency.hub import fit_hub, hub_table
from benchmarks.latency.leave_out import Table, table
from benchmarks.latency.ncnn_network import network_amounts
from benchmarks.latency.other import other_phones
from benchmarks.latency.runs import Run, amounts_of, latencies, traits
from benchmarks.latency_leave_one_out import UNSEEN
from benchmarks.results import FOLDER
from pocketfit.devices import profile as profiles
from pocketfit.devices.predict.kinds import kinds_of
from pocketfit.devices.predict.speeds import Speeds, adapted, prior_covariance
from pocketfit.devices.profile import Cluster, Profile, Target, write_profile

HARDWARE = Path(__file__).parent / "hardware.toml"
OUT = Path(profiles.__file__).parent / "profiles"
REFERENCES = OUT.parent / "predict" / "references.json"

NCNN = "Tencent/ncnn, benchmark/README.md at a4d2ea1 (BSD-3-Clause): latencies"
HUB = "quic/ai-hub-models, perf.yaml files at 52c080d (BSD-3-Clause): latencies"
OTHER = {
    "litert": "tensorflow/tensorflow, lite/g3doc, and google/XNNPACK, README.md (Apache-2.0, BSD-3-Clause): latencies",
    "mnn": "alibaba/MNN, benchmark/result/2019-6-17.md at 4d40bdb (Apache-2.0): latencies",
    "coreml": "apple/coremltools, docs-guides at e0e2f42 (BSD-3-Clause): latencies",
}
MAKER = (
    "specifications that the makers of the phone and of the chip publish, from memory, unchecked: cores, clocks, "
    "memory, accelerators, battery, system"
)
# Doubts of speeds that a few networks tell of, and of those that one or two do; spread of both.
FEW, FEWER, FEW_SPREAD = (0.1, 0.3, 0.15), (0.3, 0.5, 0.15), 0.2
ENOUGH = 3
# No network of the ncnn table has dilated convolutions, and one multiplies matrices of several rows.
RARE = ("matrix_product", "dilated")
_LITTLE_CORES = 1
_FITTED_SPREAD = 0.1


def main() -> None:
    """Write every profile."""
    OUT.mkdir(exist_ok=True)
    _write_references()
    hardware: dict[str, dict[str, Any]] = tomllib.loads(HARDWARE.read_text())
    write_chips({about["hub"]: name for name, about in hardware.items() if "hub" in about})
    for name, about in hardware.items():
        profile = _profile(name, about)
        write_profile(profile, OUT / f"{name}.json")
        print(f"{name}: {', '.join(map(str, profile.targets))}")


def _profile(name: str, about: dict[str, Any]) -> Profile:
    targets = [*_ncnn_targets(about), *_hub_targets(about), *_other_targets(about)]
    facts = {key: about[key] for key in ("title", "soc", "tier", "bandwidth_gbps", "gpu", "npu", "system")}
    return Profile(
        name=name,
        kind=about.get("kind", "phone"),
        clusters=tuple(Cluster(core=core, count=count, ghz=ghz) for core, count, ghz in about["clusters"]),
        features=tuple(about["features"]),
        memory_gb=about.get("memory_gb"),
        battery_mah=about.get("battery_mah"),
        sources=(MAKER, *sorted({target.source for target in targets})),
        targets=tuple(targets),
        **facts,
    )


def _ncnn_targets(about: dict[str, Any]) -> Iterator[Target]:
    for basis in map(_basis, ("one thread", "threads", "gpu")) if "ncnn" in about else ():
        runs = [run for run in basis.data.runs if run.device == about["ncnn"] and run.powersave != _LITTLE_CORES]
        for threads in sorted({run.threads if run.backend == "cpu" else 1 for run in runs}):
            same = [run for run in runs if run.backend == "gpu" or run.threads == threads]
            # Of two measurements of the same, the one with the phone less busy.
            best = min(same, key=lambda run: sum(map(np.log, run.ms.values())) / len(run.ms))
            yield from _of_run(best, threads, basis, half="fp16" in about["features"])


def _of_run(run: Run, threads: int, basis: _Basis, *, half: bool) -> Iterator[Target]:
    for int8 in (False, True):
        networks = tuple(sorted(name for name in run.ms if name.endswith("_int8") is int8))
        # ncnn has no INT8 on GPUs: it computes such networks on the CPU.
        if not networks or (int8 and run.backend == "gpu"):
            continue
        log_us, amounts = latencies((run,), networks)[0], amounts_of(networks)
        log_prior = basis.fitted.expected(traits(run), int8=int8) + basis.level
        prior = Speeds(log_prior, prior_covariance(), _FITTED_SPREAD)
        speeds = adapted(prior, list(zip(amounts, np.exp(log_us) / 1000, strict=True)))
        floats = "float16" if half or run.backend == "gpu" else "float32"
        key = ("ncnn", "int8" if int8 else floats, run.backend, threads)
        yield _target(key, speeds.log_us, basis.spread, NCNN, measured=len(networks))


@dataclass(frozen=True)
class _Basis:
    """What runs of one sort have in common, and how far networks that were left out were from it."""

    data: Table
    fitted: Fitted
    spread: float

    @property
    def level(self) -> float:
        """Of a middling run."""
        return float(np.mean(self.fitted.level))


@cache
def _basis(sort: str) -> _Basis:
    data = {"one thread": _one_thread, "threads": _threads, "gpu": _gpu}[sort]()
    return _Basis(data, fit(data.log_us, data.amounts, data.int8, data.traits), _spread(sort))


def _spread(sort: str) -> float:
    """As `python -m benchmarks latency_leave_one_out` last found it."""
    rows = json.loads((FOLDER / "latency_leave_one_out.json").read_text())
    found: float = next(one["spread"] for one in rows if (one["task"], one["baseline"]) == (UNSEEN[sort], "ours"))
    return found


def _one_thread() -> Table:
    return table(lambda run: run.threads == 1)


def _threads() -> Table:
    return table(lambda run: run.threads > 1)


def _gpu() -> Table:
    return table(lambda run: run.mobile, "gpu")


def _hub_targets(about: dict[str, Any]) -> Iterator[Target]:
    if "hub" not in about:
        return
    data, (fitted, spread) = hub_table(), _hub_fit()
    for row, way in enumerate(data.ways):
        # Networks that an accelerator left to the CPU are no sample of the CPU's speed.
        if way.device == about["hub"] and way.processor == "npu":
            log_us = fitted.of_run(row, data.traits[row], int8=False)
            key = (way.runtime, way.precision, way.processor, 1)
            yield _target(key, log_us, spread, HUB, measured=int(np.isfinite(data.log_us[row]).sum()), rare=())


@cache
def _hub_fit() -> tuple[Fitted, float]:
    data = hub_table()
    return fit_hub(data, np.ones(len(data.networks), bool)), _spread("hub")


def _other_targets(about: dict[str, Any]) -> Iterator[Target]:
    for (way, threads), measured in sorted(other_phones().items(), key=lambda pair: pair[0]):
        if way.device != about.get("other"):
            continue
        common, level = _common(way.processor)
        log_us = common + level
        prior = prior_covariance(1.5, kinds=kinds_of(way.processor))
        speeds = adapted(Speeds(log_us, prior, FEW_SPREAD), measured)
        key = (way.runtime, way.precision, way.processor, threads)
        doubt = FEW if len(measured) >= ENOUGH else FEWER
        rare, source = () if way.processor == "npu" else RARE, OTHER[way.runtime]
        yield _target(key, speeds.log_us, FEW_SPREAD, source, measured=len(measured), doubt=doubt, rare=rare)


def _common(processor: str) -> tuple[np.ndarray, float]:
    """Speeds of a middling processor, and their level."""
    if processor == "npu":
        fitted = _hub_fit()[0]
        return fitted.common, float(np.mean(fitted.level))
    basis = _basis("one thread" if processor == "cpu" else "gpu")
    return basis.fitted.common, basis.level


def _write_references() -> None:
    """What ncnn's own benchmark networks ask for, so that its figures can calibrate a phone."""
    networks = [name for name in _basis("one thread").data.networks if not name.endswith("_int8")]
    amounts = {name: {kind: round(amount, 6) for kind, amount in network_amounts(name).items()} for name in networks}
    REFERENCES.write_text(json.dumps(amounts, indent=1) + "\n")


def _target(
    key: tuple[str, str, str, int],
    log_us: np.ndarray,
    spread: float,
    source: str,
    *,
    measured: int,
    doubt: tuple[float, float, float] = (0.0, 0.0, 0.0),
    rare: tuple[str, ...] = RARE,
) -> Target:
    runtime, precision, processor, threads = key
    us = zip(kinds_of(processor), np.exp(log_us), strict=True)
    return Target.model_validate(
        {
            "runtime": runtime,
            "precision": precision,
            "processor": processor,
            "threads": threads,
            "us": {kind.name: float(f"{one:.4g}") for kind, one in us},
            "doubt": doubt,
            "rare": rare,
            "spread": round(spread, 3),
            "measured": measured,
            "source": source,
        }
    )


if __name__ == "__main__":
    main()
