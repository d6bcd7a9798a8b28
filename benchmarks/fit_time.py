"""How long `fit` takes: MobileNetV2, three runtimes, three precisions, then the same command again."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.cases import CASES, watched_fit
from benchmarks.results import Row


def run() -> list[Row]:
    """One row per stage and run, and one for each whole run."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as work:
        request = CASES[0].request(Path(work) / "bundle", Path(work) / "stages")
        for name in ("first", "second"):
            start = time.perf_counter()
            result = watched_fit(request)
            whole = time.perf_counter() - start
            rows += [
                {"run": name, "stage": one.stage, "seconds": one.seconds, "reused": one.reused} for one in result.stages
            ]
            rows.append({"run": name, "stage": "whole run", "seconds": whole, "reused": name == "second"})
    return rows
