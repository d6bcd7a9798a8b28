"""One candidate, wherever it is worked on: made, looked at, tried on few samples, then proved on all.

Each step may be the last: what cannot fit the budget any more is not converted, or not run on the rest of the samples.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pocketfit.data.preprocess import batches
from pocketfit.devices.predict.demands import demands_of
from pocketfit.devices.predict.predict import model_needs
from pocketfit.devices.profile import Profile
from pocketfit.errors import OutputError, PocketfitError
from pocketfit.graph.running import run_graph
from pocketfit.inspection.cost import inspect_model
from pocketfit.models.store import restore
from pocketfit.pipeline import FitRequest, Prepared, fit
from pocketfit.rows import apart
from pocketfit.search.allowed import Allowed
from pocketfit.search.executors.packing import pack
from pocketfit.search.latency import predicted_ms
from pocketfit.search.outcome import Outcome, State
from pocketfit.search.ruling_out import least_bytes
from pocketfit.search.space import Point
from pocketfit.search.units import milliseconds, size
from pocketfit.searching.ground import Ground, few, read_ground
from pocketfit.searching.networks import stored_network
from pocketfit.store import Store, default_cache
from pocketfit.types import Accuracy, Evidence, LoadedModel
from pocketfit.verify.judging import judge
from pocketfit.verify.metrics import find_metric

__all__ = ["FEW", "Answer", "Job", "evaluate"]

# Held-out samples that a candidate is tried on first; on fewer, the interval of a drop tells nothing.
FEW = 200
BATCH = 32


@dataclass(frozen=True)
class Job:
    """What a worker is told of a candidate.

    Args:
        point: the candidate.
        asked: fields of the user's `FitRequest` that a worker needs, by name.
        metric: name of the metric, by which it is found again: its functions cannot be sent.
        allowed: the limits.
        device: that latency is predicted for; None where it is measured on the worker's host.
        workers: processes that work at once.
        cache: folder of stored stages; None for the worker's own, on another host: the network is then sent back.
    """

    point: Point
    asked: Mapping[str, Any]
    metric: str
    allowed: Allowed
    device: Profile | None = None
    workers: int = 1
    cache: Path | None = None


@dataclass(frozen=True)
class Answer:
    """What a worker tells of a candidate.

    Args:
        outcome: its figures.
        network: files of the network, where the worker was asked for them.
    """

    outcome: Outcome
    network: bytes | None = None


def evaluate(job: Job, folder: Path) -> Answer:
    """Work on a candidate.

    Args:
        job: what to do.
        folder: from `write_ground`, of the candidate's resolution.

    Raises:
        OutputError: the disk is full.
    """
    start = time.perf_counter()
    try:
        answer = _Candidate(job, read_ground(folder)).answer()
    except OutputError:
        raise  # no other candidate would fare better
    except PocketfitError as error:
        answer = Answer(Outcome(job.point, State.FAILED, str(error).splitlines()[0]))
    return replace(answer, outcome=replace(answer.outcome, seconds=time.perf_counter() - start))


class _Ended(Exception):
    """It cannot fit, or failed; says why."""

    def __init__(self, reason: str, state: State = State.STOPPED) -> None:
        super().__init__(reason)
        self.reason, self.state = reason, state


class _Candidate:
    def __init__(self, job: Job, ground: Ground) -> None:
        self.job, self.ground = job, ground
        self.cache = job.cache or default_cache()
        self.metric = find_metric(job.metric)
        self.outcome = Outcome(job.point, State.PROVED)

    def answer(self) -> Answer:
        job, ground = self.job, self.ground
        network = stored_network(Store(self.cache), ground, job.point.macs)
        sent = pack(network) if job.cache is None and job.point.macs < 100 else None
        total = len(ground.data.evaluation.inputs)
        try:
            model = restore(network)
            self._look(model)
            if total > 2 * FEW:
                self._try_network(model)
                self._prove(few(ground, network, FEW), last=False)
            self._prove(Prepared(network, ground.data, ground.floats), last=True)
        except _Ended as end:
            self._learn(state=end.state, reason=end.reason)
        return Answer(self.outcome, sent)

    def _look(self, model: LoadedModel) -> None:
        """What is known of a network before it is converted or run."""
        inspection = inspect_model(model)
        self._learn(macs=inspection.macs, parameters=inspection.parameters)
        least = least_bytes(inspection.parameters, self.job.point.deployment.precision)
        if least > self.job.allowed.size_bytes:
            raise _Ended(f"its weights alone take {size(least)}")
        if self.job.device is not None:
            needs = model_needs(demands_of(model), inspection)
            self._learn(latency_ms=predicted_ms(needs, self.job.device, self.job.point.deployment))
            self._check_latency("predicted")

    def _try_network(self, model: LoadedModel) -> None:
        """The network in float on few samples: no precision and no runtime gives back what pruning has lost."""
        part = few(self.ground, self.ground.network, FEW)
        samples = batches(part.data.evaluation, BATCH if model.dynamic_batch else 1)
        outputs = apart(run_graph(model.graph, samples), model.outputs)
        labels = part.data.evaluation.labels
        assert labels is not None
        self._check_drop(judge(self.metric, outputs, apart(part.floats, model.outputs), labels))

    def _prove(self, prepared: Prepared, last: bool) -> None:
        """Converted and run, as `fit` does it; stored stages of the same network are found again."""
        job = self.job
        request = FitRequest(
            **job.asked,
            targets=(job.point.deployment.runtime,),
            precisions=(job.point.deployment.precision,),
            prepared=replace(prepared, workers=job.workers),
            metric=self.metric,
            cache=self.cache,
        )
        row = fit(request).candidates[0]
        if row.evidence is None:
            failure = row.failure
            told = "it was not run" if failure is None else f"{failure.stage}: {failure.reason}"
            raise _Ended(told.splitlines()[0], State.FAILED)
        self._weigh(row.evidence, last)

    def _weigh(self, evidence: Evidence, last: bool) -> None:
        accuracy = evidence.accuracy
        assert accuracy is not None  # the data has labels
        self._learn(drop=accuracy.drop_points, samples=accuracy.samples, size_bytes=evidence.size_bytes)
        self._learn(memory_bytes=evidence.peak_memory_bytes)
        if self.job.device is None:
            self._learn(latency_ms=evidence.median_ms())
        if last:
            self._learn(over=self.job.allowed.over(self.outcome))
            return
        self._check_drop(accuracy)
        if evidence.size_bytes > self.job.allowed.size_bytes:
            raise _Ended(f"it takes {size(evidence.size_bytes)}")
        if evidence.peak_memory_bytes > self.job.allowed.memory_bytes:
            raise _Ended(f"it takes {size(evidence.peak_memory_bytes)} of memory")
        self._check_latency("measured")

    def _check_drop(self, accuracy: Accuracy) -> None:
        self._learn(drop=accuracy.drop_points, samples=accuracy.samples)
        if accuracy.drop_low > self.job.allowed.drop:
            raise _Ended(f"it loses too much on the first {accuracy.samples} samples")

    def _check_latency(self, how: str) -> None:
        found = self.outcome.latency_ms
        if found is not None and found > self.job.allowed.latency_ms:
            raise _Ended(f"its {how} latency is {milliseconds(found)}")

    def _learn(self, **found: object) -> None:
        self.outcome = replace(self.outcome, **found)  # type: ignore[arg-type]
