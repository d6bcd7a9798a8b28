"""The child's part of measuring: one artifact with one thread count in a process that has run nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from pocketfit.devices.host import measure
from pocketfit.devices.memory import mark, risen_since
from pocketfit.runtimes import get_runtime, require
from pocketfit.runtimes.work import artifact_from_json

__all__ = ["measure_artifact"]


def measure_artifact(
    artifact: Mapping[str, object], folder: str, threads: int, runs: int, batch: int
) -> dict[str, object]:
    """Open and time the artifact whose files lie in `folder`; see `pocketfit.devices.host.measure_on_host`."""
    opened = artifact_from_json(artifact, Path(folder))
    runtime = get_runtime(opened.runtime)
    require(runtime)
    import numpy.random  # noqa: F401 - before the mark: it belongs to the measuring, not to the artifact

    before = mark()
    latency = measure(runtime, opened, threads=threads, runs=runs, batch=batch)
    return {"latency": dataclasses.asdict(latency), "peak_memory_bytes": risen_since(before)}
