"""Candidates per hour of a search against the number of workers: processes of this host, and a Ray cluster on it.

The same six candidates each time (a small network on digits, whole and pruned, ONNX Runtime in three precisions), from
an empty cache. A Ray node has one CPU; all nodes are processes of this host, so that what is shown is the cost of
handing work out, not what several hosts would gain. `seconds` is the search alone, the start of the workers included.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.results import Row
from pocketfit.pipeline import FitRequest
from pocketfit.searching import SearchRequest, search
from pocketfit.stages import Nobody
from pocketfit.store import CACHE_VARIABLE
from pocketfit.types import Budget

MODEL = "pocketfit.models.zoo.digits_cnn:trained_digits_cnn"
MACS = (100, 60)
TRIALS = 6
WORKERS = (1, 2)
# So that no candidate is stopped early: all take their full time.
ANY_DROP = 100.0
NODE_MEMORY_BYTES = 3 * 2**30
OBJECTS_BYTES = 100 * 2**20


def run() -> Iterator[Row]:
    """One row an executor and number of workers."""
    for executor in ("local", "ray"):
        alone = 0.0
        for workers in WORKERS:
            with tempfile.TemporaryDirectory() as folder, _cluster(executor, workers, Path(folder)) as address:
                seconds = _seconds(Path(folder), workers, address)
            per_hour = TRIALS * 3600 / seconds
            alone = alone or per_hour
            yield {
                "executor": executor,
                "workers": workers,
                "candidates": TRIALS,
                "seconds": seconds,
                "candidates_per_hour": per_hour,
                "times_one_worker": per_hour / alone,
            }


class _Clock(Nobody):
    seconds = 0.0

    def finish(self, stage: str, seconds: float, reused: bool) -> None:
        """Keep what the search took."""
        if stage == "search":
            self.seconds = seconds


def _seconds(folder: Path, workers: int, address: str | None) -> float:
    fit = FitRequest(
        model=MODEL,
        data="digits",
        out=folder / "bundle",
        cache=folder / "cache",
        targets=("onnxruntime",),
        budget=Budget(max_drop_points=ANY_DROP),
    )
    clock = _Clock()
    result = search(SearchRequest(fit, trials=TRIALS, workers=workers, ray=address, macs=MACS), clock)
    assert all(one.state == "proved" for one in result.outcomes)
    return clock.seconds


@contextmanager
def _cluster(executor: str, workers: int, folder: Path) -> Iterator[str | None]:
    """A head and one node a worker; nothing for processes of this host."""
    if executor == "local":
        yield None
        return
    from ray.cluster_utils import Cluster

    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", CACHE_VARIABLE: str(folder / "workers")}
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": OBJECTS_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(workers):
        cluster.add_node(num_cpus=1, memory=NODE_MEMORY_BYTES, object_store_memory=OBJECTS_BYTES)
    try:
        yield cluster.address
    finally:
        cluster.shutdown()
