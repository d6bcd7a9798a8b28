"""A search from its request to a bundle: prepare, search, and at any moment keep the best as a finished bundle."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import cast

from pocketfit.bundle.write import check_destination
from pocketfit.devices.host import describe_host
from pocketfit.devices.profile import Profile
from pocketfit.errors import OutputError
from pocketfit.rows import apart
from pocketfit.search.allowed import Allowed
from pocketfit.search.budget import default_drop_from
from pocketfit.search.executors import Executor, LocalExecutor, RayExecutor
from pocketfit.search.loop import Limits, run_loop
from pocketfit.search.outcome import Outcome
from pocketfit.search.pareto import best, front
from pocketfit.search.ruling_out import is_ruled_out
from pocketfit.search.space import Point, Space
from pocketfit.search.study import Study, sqlite_url, without_password
from pocketfit.searching.deployments import deployments
from pocketfit.searching.ground import Ground, read_ground
from pocketfit.searching.grounds import prepare_grounds
from pocketfit.searching.keeper import Keeper
from pocketfit.searching.request import SearchRequest, SearchResult
from pocketfit.searching.task import Job, evaluate
from pocketfit.searching.wording import ended
from pocketfit.stages import Nobody, Watcher
from pocketfit.store import Store, default_cache, key_of
from pocketfit.types import FitResult
from pocketfit.verify.judging import float_score

__all__ = ["search", "search_intentions"]

STAGE = "search"
# Of a `FitRequest`, what concerns every candidate wherever it is worked on.
ASKED = ("model", "data", "budget", "options", "preprocess", "postprocess", "embed_preprocessing")


def search(request: SearchRequest, watcher: Watcher | None = None) -> SearchResult:
    """Search for the smallest or the fastest that keeps the budget.

    Args:
        request: what to do.
        watcher: told of every stage and of every candidate.

    Raises:
        InputError: model, data, options, storage or output are not usable.
        RuntimeMissing: a runtime named in `targets` is not installed.
    """
    start = time.monotonic()
    prepared = _prepared(request, watcher or Nobody())
    outcomes, ruled_out, fitted = _Search(prepared, watcher or Nobody()).run()
    ground = prepared.ground
    return SearchResult(
        model=ground.model.name,
        float_value=prepared.float_value,
        metric=request.fit.metric.info,
        space=prepared.space,
        outcomes=outcomes,
        ruled_out=ruled_out,
        front=front(outcomes),
        best=best(outcomes, request.fit.prefer),
        fit=fitted,
        where=_where(request),
        storage=without_password(_storage(request)),
        seconds=time.monotonic() - start,
        notes=prepared.notes,
    )


def search_intentions(request: SearchRequest) -> tuple[str, ...]:
    """What `search` would do, in plain sentences; reads the model and the data, converts and writes nothing.

    Raises:
        PocketfitError: as `search`.
    """
    prepared = _prepared(request, Nobody())
    space, workers = prepared.space, prepared.request.workers or 1
    where = f"the Ray cluster {request.ray}" if request.ray else f"{workers} process{'es' if workers > 1 else ''} here"
    return (
        f"{prepared.ground.model.name}: {request.fit.metric.info.name} {prepared.float_value:.2f} in float",
        f"search {len(space)} candidates: {', '.join(f'{share}%' for share in space.macs)} of the multiply-accumulates",
        f"inputs: {', '.join('x'.join(map(str, one)) for one in space.inputs)}",
        f"deployments: {', '.join(map(str, space.deployments))}",
        f"latency: {_where(request)}",
        f"try {min(request.trials, len(space))} of them on {where}, kept in {without_password(_storage(request))}",
        *prepared.notes,
        f"write the best so far to {request.fit.out}",
    )


@dataclass(frozen=True)
class _Prepared:
    """A search before its first candidate; the request's budget has a drop."""

    request: SearchRequest
    store: Store
    grounds: Mapping[tuple[int, ...], Path]
    ground: Ground
    space: Space
    allowed: Allowed
    float_value: float
    notes: tuple[str, ...]


def _prepared(request: SearchRequest, watcher: Watcher) -> _Prepared:
    asked = request.fit
    if asked.out is not None:
        check_destination(asked.out)
    store = Store(asked.cache or default_cache())
    grounds, left_out = prepare_grounds(asked, watcher, store, request.smaller)
    ground = read_ground(next(iter(grounds.values())))
    ways, unknown = deployments(asked, _device(request), ground.model)
    labels = ground.data.evaluation.labels
    assert labels is not None  # prepare_grounds sees to it
    value = float_score(asked.metric, apart(ground.floats, ground.model.outputs), labels)
    drop = asked.budget.max_drop_points
    budget = replace(
        asked.budget, max_drop_points=default_drop_from(value, asked.metric.info.unit) if drop is None else drop
    )
    allowed = Allowed(
        cast(float, budget.max_drop_points),
        budget.max_size_bytes or math.inf,
        math.inf if request.latency is None else request.latency.ms,
        budget.max_memory_bytes or math.inf,
    )
    space = Space(request.macs, tuple(grounds), ways)
    filled = replace(request, fit=replace(asked, budget=budget))
    return _Prepared(filled, store, grounds, ground, space, allowed, value, (*ground.data.notes, *left_out, *unknown))


class _Search:
    def __init__(self, prepared: _Prepared, watcher: Watcher) -> None:
        self.prepared, self.request, self.watcher = prepared, prepared.request, watcher

    def run(self) -> tuple[tuple[Outcome, ...], int, FitResult | None]:
        """All outcomes, how many candidates they rule out, and the best as it is in the bundle."""
        request, prepared = self.request, self.prepared
        _make(request.folder)
        study = Study(prepared.space, _storage(request), _name(prepared), request.seed, self._is_ruled_out)
        trials = min(request.trials, len(prepared.space))
        start = time.perf_counter()
        self.watcher.start(STAGE, trials)
        with closing(self._executor()) as executor:
            keeper = Keeper(request, prepared.allowed, prepared.grounds, prepared.store, self._beside(executor))
            if study.outcomes:
                self.watcher.say(f"taken up with {len(study.outcomes)} candidates that are known")
                self.watcher.advance(STAGE, len(study.outcomes))
                keeper.keep(study.outcomes)

            def told(outcome: Outcome) -> None:
                self.watcher.say(ended(outcome, len(study.outcomes), trials, request.fit.metric.info.unit))
                self.watcher.advance(STAGE, len(study.outcomes))
                keeper.keep(study.outcomes)

            limits = Limits(trials, request.timeout_s)
            run_loop(study, executor, limits, lambda point: self._job(point, executor), keeper.receive, told)
        self.watcher.finish(STAGE, time.perf_counter() - start, False)
        outcomes, fitted = self._finished(keeper, study.outcomes)
        return outcomes, len(study.ruled_out), fitted

    def _is_ruled_out(self, point: Point, known: Collection[Outcome]) -> bool:
        return is_ruled_out(point, known, self.prepared.allowed, predicted=_device(self.request) is not None)

    def _finished(self, keeper: Keeper, outcomes: tuple[Outcome, ...]) -> tuple[tuple[Outcome, ...], FitResult | None]:
        if keeper.workers > 1 and _device(self.request) is None:
            self.watcher.start("measure alone", None)
            start = time.perf_counter()
            outcomes = keeper.alone(outcomes)
            self.watcher.finish("measure alone", time.perf_counter() - start, False)
        return outcomes, keeper.finish(outcomes)

    def _executor(self) -> Executor:
        request = self.request
        if request.ray is not None:
            return RayExecutor(evaluate, request.ray, request.workers)
        return LocalExecutor(evaluate, request.workers or 1)

    def _beside(self, executor: Executor) -> int:
        """Processes that work while latency is measured: on a cluster, one does at least."""
        return max(2, executor.slots) if executor.remote else executor.slots

    def _job(self, point: Point, executor: Executor) -> tuple[Job, Path]:
        request = self.request
        asked = {name: getattr(request.fit, name) for name in ASKED}
        cache = None if executor.remote else self.prepared.store.root
        job = Job(point, asked, request.metric, self.prepared.allowed, _device(request), self._beside(executor), cache)
        return job, self.prepared.grounds[point.input]


def _device(request: SearchRequest) -> Profile | None:
    """That latency is predicted for; None where it is measured."""
    return None if request.latency is None else request.latency.device


def _storage(request: SearchRequest) -> str:
    if request.storage is not None:
        return request.storage
    folder = request.folder
    return "sqlite://" if folder is None else sqlite_url(folder / "study.db")


def _name(prepared: _Prepared) -> str:
    """Of the search in its database: a search of other things is another one."""
    request = prepared.request
    parts = {
        "grounds": [folder.name for folder in prepared.grounds.values()],
        "space": repr(prepared.space),
        "allowed": repr(prepared.allowed),
        "metric": request.metric,
        "where": _where(request),
        "options": request.fit.options,
        "version": metadata.version("pocketfit"),
    }
    return f"{prepared.ground.model.name}-{key_of(parts)[:12]}"


def _where(request: SearchRequest) -> str:
    device = _device(request)
    if device is not None:
        return f"predicted for {device.name}"
    return f"measured on {describe_host()}, 1 thread"


def _make(folder: Path | None) -> None:
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"the search cannot be kept in {folder}: {error.strerror}. Give an -o folder on a disk that can be written."
        ) from error
