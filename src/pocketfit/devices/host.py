"""Latency and memory of an artifact on this host, measured in a fresh process per thread count."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pocketfit.errors import OptionError
from pocketfit.runtimes.isolate import call
from pocketfit.runtimes.work import artifact_to_json
from pocketfit.types import Artifact, Latency, Runtime

if TYPE_CHECKING:
    import numpy as np

__all__ = ["describe_host", "measure", "measure_on_host", "measure_side_by_side"]

TIMEOUT_S = 900.0
_CPUINFO = Path("/proc/cpuinfo")


def describe_host() -> str:
    """Name the machine in words, such as "AMD EPYC 9B14, 2 cores, Linux"."""
    cores = os.cpu_count() or 1
    return f"{_processor()}, {cores} core{'s' if cores > 1 else ''}, {platform.system()}"


def measure(
    runtime: Runtime,
    artifact: Artifact,
    *,
    threads: int,
    runs: int = 30,
    warmup: int = 5,
    min_seconds: float = 0.5,
    batch: int = 1,
) -> Latency:
    """Time single inferences in this process.

    Args:
        runtime: opens the artifact.
        artifact: its input shapes are those `Session.run` takes.
        threads: handed to the runtime.
        runs: least number of timed inferences.
        warmup: inferences before, untimed.
        min_seconds: go on beyond `runs` until this much time is spent, so that a model of microseconds is timed well.
        batch: samples of an inference.
    """
    session = runtime.open(artifact, threads=threads)
    inputs = [_example((batch, *given.shape[1:])) for given in artifact.inputs]
    for _ in range(warmup):
        session.run(inputs)
    times_ns: list[int] = []
    total_ns = 0
    while len(times_ns) < runs or total_ns < min_seconds * 1e9:
        start = time.perf_counter_ns()
        session.run(inputs)
        times_ns.append(time.perf_counter_ns() - start)
        total_ns += times_ns[-1]
    return _summarise(times_ns, threads)


def measure_on_host(
    artifact: Artifact,
    *,
    threads: Sequence[int] = (1, 2),
    runs: int = 30,
    log: Path | None = None,
    batch: int = 1,
) -> tuple[tuple[Latency, ...], int]:
    """Measure in one child process per thread count.

    Args:
        artifact: to be measured.
        threads: thread counts; those above the number of cores are left out.
        runs: least number of timed inferences each.
        log: receives what the runtime prints.
        batch: samples of an inference, for an artifact that takes any number.

    Returns:
        One latency per thread count, and the resident memory in bytes that opening and running on the fewest threads
        added, the runtime's own library included.

    Raises:
        OptionError: no thread count is left.
        RuntimeMissing: the runtime's packages are not installed.
        IsolationError: the runtime crashed or hung.
    """
    cores = os.cpu_count() or 1
    counts = sorted({count for count in threads if 1 <= count <= cores})
    if not counts:
        raise OptionError(f"got thread counts {list(threads)}; this host has {cores} core(s): give 1 to {cores}")
    results = [_measure_in_child(artifact, count, runs, log, batch) for count in counts]
    return tuple(latency for latency, _ in results), results[0][1]


def measure_side_by_side(
    runtime: Runtime, artifacts: Sequence[Artifact], *, threads: int = 1, rounds: int = 41, warmup: int = 5
) -> tuple[Latency, ...]:
    """Time single inferences of several artifacts in turns, so that whatever else the machine does befalls all alike.

    Args:
        runtime: opens them, in this process.
        artifacts: to be compared.
        threads: handed to the runtime.
        rounds: timed inferences of each.
        warmup: rounds before, untimed.
    """
    sessions = [runtime.open(artifact, threads=threads) for artifact in artifacts]
    inputs = [[_example(given.shape) for given in artifact.inputs] for artifact in artifacts]
    times_ns: list[list[int]] = [[] for _ in artifacts]
    for number in range(warmup + rounds):
        for session, given, times in zip(sessions, inputs, times_ns, strict=True):
            start = time.perf_counter_ns()
            session.run(given)
            if number >= warmup:
                times.append(time.perf_counter_ns() - start)
    return tuple(_summarise(times, threads) for times in times_ns)


def _measure_in_child(artifact: Artifact, threads: int, runs: int, log: Path | None, batch: int) -> tuple[Latency, int]:
    arguments = {
        "artifact": artifact_to_json(artifact),
        "folder": artifact.files[0].parent,
        "threads": threads,
        "runs": runs,
        "batch": batch,
    }
    result = call("pocketfit.devices.work:measure_artifact", arguments, timeout_s=TIMEOUT_S, log=log)
    return Latency(**result["latency"]), int(result["peak_memory_bytes"])


def _example(shape: tuple[int, ...]) -> np.ndarray:
    import numpy as np

    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def _summarise(times_ns: Sequence[int], threads: int) -> Latency:
    # The last of nine cut points into tenths; inclusive, so that it never lies beyond the slowest run.
    p90_ns = statistics.quantiles(times_ns, n=10, method="inclusive")[-1] if len(times_ns) > 1 else times_ns[0]
    return Latency(
        threads=threads,
        median_ms=statistics.median(times_ns) / 1e6,
        p90_ms=p90_ns / 1e6,
        runs=len(times_ns),
        where=describe_host(),
    )


def _processor() -> str:
    if _CPUINFO.exists():
        for line in _CPUINFO.read_text().splitlines():
            # x86 says "model name", some ARM boards "Hardware" or "Model".
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Hardware", "Model") and value.strip():
                return value.strip()
    return platform.processor() or platform.machine() or "unknown processor"
