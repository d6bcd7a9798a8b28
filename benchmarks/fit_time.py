"""How long `fit` takes: MobileNetV2, three runtimes, three precisions, then the same command again.

It begins with an empty store, which the other benchmarks then take up.
"""

from __future__ import annotations

import shutil
import time

from benchmarks.cases import CASES, watched_fit
from benchmarks.real_data import cache_folder
from benchmarks.results import Row


def run() -> list[Row]:
    """One row per stage and run, and one for each whole run."""
    rows: list[Row] = []
    stages = cache_folder() / "stages"
    shutil.rmtree(stages, ignore_errors=True)
    out = cache_folder() / "bundles" / CASES[0].name
    out.parent.mkdir(parents=True, exist_ok=True)
    request = CASES[0].request(out, stages)
    for name in ("first", "second"):
        start = time.perf_counter()
        result = watched_fit(request)
        whole = time.perf_counter() - start
        rows += [
            {"run": name, "stage": one.stage, "seconds": one.seconds, "reused": one.reused} for one in result.stages
        ]
        rows.append({"run": name, "stage": "whole run", "seconds": whole, "reused": name == "second"})
    return rows
