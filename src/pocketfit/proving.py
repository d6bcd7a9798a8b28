"""From plans to rows of the table: convert and run each candidate in child processes, then measure it.

A candidate that fails is a row with its reason; only what concerns the whole run, such as a full disk, ends it.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import psutil

from pocketfit.devices.host import describe_host, measure_on_host
from pocketfit.errors import ConversionError, InputError, PocketfitError, VerificationFailed
from pocketfit.preflight.blame import explain, guilty
from pocketfit.preflight.narrow import first_failing_in_child
from pocketfit.rows import apart
from pocketfit.runtimes import isolate, require, runs_here, why_not_run_here
from pocketfit.runtimes.work import artifact_from_json, artifact_to_json, convert_in_child
from pocketfit.stages import Stage, Stages
from pocketfit.store import check_space, key_of
from pocketfit.types import (
    Accuracy,
    Artifact,
    Candidate,
    Evidence,
    Failure,
    KernelUse,
    Latency,
    NotRun,
    Parity,
    Precision,
    QuantizationPlan,
    Runtime,
    Samples,
    TensorSpec,
    Variant,
)
from pocketfit.verify.judging import judge
from pocketfit.verify.metrics import TOP_1, Metric
from pocketfit.verify.parity import compare_outputs
from pocketfit.verify.run import outputs_of

__all__ = ["Planned", "Prover", "Row"]


@dataclass(frozen=True)
class Planned:
    """A model with its plan and where the two are stored.

    Args:
        variant: what converters are given, with the options of the runtime it is for.
        model: folder of the variant's model, from `models.store.save`.
        path: folder that holds `plan.json`.
        key: the plan's own.
    """

    variant: Variant
    model: Path
    path: Path
    key: str

    @property
    def plan(self) -> QuantizationPlan:
        """The variant's plan."""
        return self.variant.plan


@dataclass(frozen=True)
class Row:
    """What is to become a row of the table.

    Args:
        runtime: converts and runs.
        planned: the plan as this runtime can express it.
        expected: the simulation's outputs on the held-out samples, float32 N×….
        notes: what the runtime cannot express, in plain sentences.
    """

    runtime: Runtime
    planned: Planned
    expected: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def precision(self) -> Precision:
        """The plan's."""
        return self.planned.plan.precision


@dataclass(frozen=True)
class _Proved:
    """An artifact that converted and ran, with its outputs on the held-out data."""

    row: Row
    artifact: Artifact
    key: str
    outputs: np.ndarray
    kernels: KernelUse


class Prover:
    """Proves candidates of one model on one set of samples.

    Args:
        stages: find or build what a candidate needs.
        samples: held-out.
        inputs: folder of the samples, from `verify.run.store_inputs`.
        floats: outputs of the float model on the samples, float32 N×….
        metric: what the outputs are judged by where the samples have labels.
        workers: processes that work on this host meanwhile, this one included: latencies measured beside others are
            kept apart from those measured alone.
    """

    def __init__(
        self,
        stages: Stages,
        samples: Samples,
        inputs: Path,
        floats: np.ndarray,
        metric: Metric = TOP_1,
        workers: int = 1,
    ) -> None:
        self.stages = stages
        self.samples = samples
        self.inputs = inputs
        self.floats = floats
        self.metric = metric
        self.workers = workers

    def candidates(self, rows: Sequence[Row]) -> tuple[Candidate, ...]:
        """Prove each row, two at a time, then measure those that ran, one at a time.

        Args:
            rows: in the table's order.

        Raises:
            InputError: something that concerns the whole run, such as a full disk.
        """
        with ThreadPoolExecutor(max_workers=max(1, min(2, os.cpu_count() or 1))) as pool:
            running = [pool.submit(self.prove, row) for row in rows]
            try:
                proved = [one.result() for one in running]
            except BaseException:
                _stop(pool, running)
                raise
        # Latency last and one at a time: nothing else may run on the machine meanwhile.
        return tuple(self.measure(one) if isinstance(one, _Proved) else one for one in proved)

    def prove(self, row: Row) -> Candidate | _Proved:
        """Convert and run on the held-out data, both in child processes; where it does not run here, convert."""
        name = row.runtime.info.name
        stage = "install"
        try:
            require(row.runtime)
            stage = "convert"
            artifact, key = self.convert(row.runtime, row.planned)
            if not runs_here(row.runtime):
                return _not_run(row, artifact)
            stage = "run"
            outputs, kernels = self.run(artifact, key)
        except InputError:
            raise  # a full disk or a bad option concerns the whole run
        except PocketfitError as error:
            return Candidate(name, row.precision, failure=_failure(stage, error), notes=row.notes)
        return _Proved(row, artifact, key, outputs, kernels)

    def convert(self, runtime: Runtime, planned: Planned) -> tuple[Artifact, str]:
        """The artifact and the key it is stored under."""
        info = runtime.info
        versions = {package: metadata.version(package) for package in info.packages}
        model = planned.plan.model_fingerprint
        options = dict(planned.variant.options)
        parts = {"runtime": info.name, "model": model, "plan": planned.key, "versions": versions}
        key = key_of(parts | ({"options": options} if options else {}))

        def build(out: Path, stage: Stage) -> None:
            scratch = Path(tempfile.gettempdir())
            check_space(scratch)
            try:
                artifact = convert_in_child(
                    info.name,
                    planned.model,
                    planned.path / "plan.json",
                    out,
                    options=options,
                    log=out / "convert.log",
                )
            except ConversionError as error:
                check_space(scratch)  # converters work there, and know no better than to blame the model
                # The same model fails the same way next time; a crash or a time-out may not, and is not stored.
                first = self._first_failing(planned, error, out / "narrow.log")
                (out / "failure.json").write_text(json.dumps([error.runtime, error.message, error.hint, first]))
            else:
                (out / "artifact.json").write_text(json.dumps(artifact_to_json(artifact)))

        folder = self.stages.stored(f"convert {info.name} {planned.plan.precision}", key, build, kind="convert")
        if (folder / "failure.json").exists():
            *told, first = json.loads((folder / "failure.json").read_text())
            raise explain(ConversionError(*told), planned.variant.model.graph, first)
        return artifact_from_json(json.loads((folder / "artifact.json").read_text()), folder), key

    def _first_failing(self, planned: Planned, error: ConversionError, log: Path) -> str:
        """The op to blame where neither the converter nor what is known of it names one; else empty."""
        variant = planned.variant
        if guilty(error, variant.model.graph):
            return ""
        plan = planned.path / "plan.json"
        return first_failing_in_child(error.runtime, variant.model, planned.model, plan, variant.options, log)

    def run(self, artifact: Artifact, key: str) -> tuple[np.ndarray, KernelUse]:
        """Its outputs on the held-out samples, and the kernels it was given."""
        total = len(self.samples.inputs)

        def build(out: Path, stage: Stage) -> None:
            kernels = outputs_of(artifact, self.inputs, out / "outputs.npy", progress=stage.add, log=out / "run.log")
            (out / "kernels.json").write_text(json.dumps(asdict(kernels)))

        run_key = key_of({"artifact": key, "evaluation": self.samples.fingerprint})
        folder = self.stages.stored(f"run {artifact.runtime} {artifact.precision}", run_key, build, total, kind="run")
        outputs: np.ndarray = np.load(folder / "outputs.npy")
        return outputs, KernelUse(**json.loads((folder / "kernels.json").read_text()))

    def measure(self, proved: _Proved) -> Candidate:
        """The finished row: latency and memory on this host, and what the outputs say."""
        artifact = proved.artifact

        def build(out: Path, stage: Stage) -> None:
            latencies, memory = measure_on_host(artifact, log=out / "measure.log")
            (out / "measured.json").write_text(json.dumps([[asdict(one) for one in latencies], memory]))

        beside = {"workers": self.workers} if self.workers > 1 else {}
        key = key_of({"artifact": proved.key, "host": describe_host(), **beside})
        name = f"measure {artifact.runtime} {artifact.precision}"
        stage, outputs = "compare", proved.row.planned.variant.model.outputs
        try:
            parity = _parity(proved.outputs, proved.row.expected, outputs)
            stage = "score"
            accuracy = self.accuracy(proved.outputs, outputs)
            stage = "measure"
            folder = self.stages.stored(name, key, build, kind="measure")
        except InputError:
            raise
        except PocketfitError as error:
            failure = _failure(stage, error)
            return Candidate(artifact.runtime, artifact.precision, artifact, failure=failure, notes=proved.row.notes)
        latencies, memory = json.loads((folder / "measured.json").read_text())
        evidence = Evidence(
            parity=parity,
            accuracy=accuracy,
            latencies=tuple(Latency(**one) for one in latencies),
            peak_memory_bytes=memory,
            kernels=proved.kernels,
            size_bytes=artifact.size_bytes,
        )
        return Candidate(artifact.runtime, artifact.precision, artifact, evidence, notes=proved.row.notes)

    def accuracy(self, outputs: np.ndarray, specs: Sequence[TensorSpec]) -> Accuracy | None:
        """What the outputs are worth by the metric; None without labels."""
        labels = self.samples.labels
        if labels is None:
            return None
        return judge(self.metric, apart(outputs, specs), apart(self.floats, specs), labels)


def _not_run(row: Row, artifact: Artifact) -> Candidate:
    known = NotRun(why_not_run_here(row.runtime), artifact.size_bytes, artifact.kernels)
    return Candidate(artifact.runtime, artifact.precision, artifact, notes=row.notes, not_run=known)


def _failure(stage: str, error: PocketfitError) -> Failure:
    if isinstance(error, ConversionError):
        return Failure(stage, error.message, error.hint)
    reason, _, hint = str(error).partition("\n")
    return Failure(stage, reason, hint)


def _parity(outputs: np.ndarray, expected: np.ndarray, specs: Sequence[TensorSpec]) -> Parity:
    parity = compare_outputs(outputs, expected, specs)
    if not math.isfinite(parity.max_error):
        # No budget would hold it back where the data has no labels, and no tolerance could be asked of it.
        raise VerificationFailed("it answers NaN or infinity on held-out samples where the plan's simulation does not")
    return parity


def _stop(pool: ThreadPoolExecutor, running: Sequence[Future[Candidate | _Proved]]) -> None:
    """End what runs in child processes: after Ctrl-C, or on a full disk, nobody waits for a converter's minutes."""
    pool.shutdown(wait=False, cancel_futures=True)
    while not all(one.done() for one in running):
        for child in psutil.Process().children():
            with suppress(psutil.NoSuchProcess):
                if isolate.__name__ in child.cmdline():
                    child.kill()
        time.sleep(0.1)
