"""What a search is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pocketfit.devices.predict.limit import LatencyLimit
from pocketfit.pipeline import FitRequest
from pocketfit.search.outcome import Outcome
from pocketfit.search.space import MACS, Space
from pocketfit.types import FitResult, MetricInfo

__all__ = ["SearchRequest", "SearchResult"]


@dataclass(frozen=True)
class SearchRequest:
    """What `search` is asked.

    Args:
        fit: the model, its data, the budget, the runtimes and precisions, and where the bundle goes.
        metric: name of what `fit.metric` is, by which workers find it.
        trials: candidates in all, those of earlier runs of the same search included.
        timeout_s: seconds of this run; None for no limit.
        latency: limit and place of latency; None for that of this host, without a limit.
        workers: candidates at once; None for one here, or for one a CPU of a Ray cluster.
        ray: address of a Ray cluster; None for processes of this host.
        storage: URL of the database; None for SQLite in the run folder.
        macs: per cent of the multiply-accumulates that pruning may leave.
        smaller: whether lower resolutions are tried, where the data are images in files.
        seed: of the proposals.
    """

    fit: FitRequest
    metric: str = "top-1"
    trials: int = 40
    timeout_s: float | None = None
    latency: LatencyLimit | None = None
    workers: int | None = None
    ray: str | None = None
    storage: str | None = None
    macs: tuple[int, ...] = MACS
    smaller: bool = True
    seed: int = 0

    @property
    def folder(self) -> Path | None:
        """Of the run, beside the bundle: the database and the front so far; None where no bundle is written."""
        out = self.fit.out
        return None if out is None else out.with_name(f"{out.name}.search")


@dataclass(frozen=True)
class SearchResult:
    """What a search has found.

    Args:
        model: its name.
        float_value: of the float model, in the metric's unit.
        metric: what the task is judged by.
        space: what was searched.
        outcomes: of every candidate, in the order in which they ended.
        ruled_out: number of candidates that were not tried, because those that were show that they cannot fit.
        front: those that no other one beats in drop, latency and size at once.
        best: the one in the bundle; None where nothing fits the budget.
        fit: of the best, as `fit` tells it; None likewise.
        where: what latencies are of.
        storage: where the search is kept, without a password.
        seconds: of this run.
        notes: what a reader should know, in plain sentences.
    """

    model: str
    float_value: float
    metric: MetricInfo
    space: Space
    outcomes: tuple[Outcome, ...]
    ruled_out: int
    front: tuple[Outcome, ...]
    best: Outcome | None
    fit: FitResult | None
    where: str
    storage: str
    seconds: float
    notes: tuple[str, ...] = ()
