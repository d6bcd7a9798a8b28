"""A student taught by a model, judged before and after: what `pocketfit distill` does.

The teacher's answers are stored, and the training goes on from its last checkpoint, so that a run that was killed loses
little. Each model is fed by its own preprocessing: a teacher may take larger images than its student.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pocketfit.compress.distill import DistillationRecipe, Distilled, distill
from pocketfit.compress.training.logs import Logs
from pocketfit.compress.training.loop import Learn, Step, learn
from pocketfit.compress.training.transfer import Matched
from pocketfit.contract import Contract
from pocketfit.data.load import load_for
from pocketfit.data.options import Changes, resolve_preprocess
from pocketfit.data.preprocess import batches
from pocketfit.errors import DataError
from pocketfit.graph.running import run_graph
from pocketfit.inspection.cost import inspect_model
from pocketfit.models.canonical import canonicalise
from pocketfit.models.load import find_source, load_model
from pocketfit.models.source import Source
from pocketfit.models.store import write_program
from pocketfit.rows import apart
from pocketfit.stages import Nobody, Stage, Stages, Watcher
from pocketfit.store import Store, default_cache, key_of
from pocketfit.types import Accuracy, InputShape, LoadedModel, Samples
from pocketfit.verify.accuracy import evaluate

__all__ = ["DistillRequest", "DistillResult", "Taught", "teach"]

BATCH = 64
# Of the data, where no other is given to judge by: one sample in so many.
HELD_OUT_EVERY = 5


@dataclass(frozen=True)
class DistillRequest:
    """What `distill` is asked.

    Args:
        teacher: as for `fit`.
        student: likewise; a factory, timm or the zoo give one with random weights.
        data: to learn from, as for `fit`.
        test_data: to judge by; None to hold back a fifth of `data`.
        recipe: how.
        out: `.pt2` file to write; None to write none.
        teacher_weights: state dict for what a teacher's factory returns.
        student_weights: likewise.
        input_shape: without the batch, of both; None when they say it.
        preprocess: a contract, or changes to each model's own; None for their own.
        cache: folder of stored stages; None for the user's cache folder.
        logs: folder for TensorBoard; None for no logs.
        learn: where the training takes place.
    """

    teacher: str
    student: str
    data: str
    test_data: str | None = None
    recipe: DistillationRecipe = field(default_factory=DistillationRecipe)
    out: Path | None = None
    teacher_weights: Path | None = None
    student_weights: Path | None = None
    input_shape: InputShape | None = None
    preprocess: Contract | Changes | None = None
    cache: Path | None = None
    logs: Path | None = None
    learn: Learn = learn


@dataclass(frozen=True)
class Taught:
    """A model in the table.

    Args:
        name: its own.
        parameters: numbers in its weights.
        macs: multiply-accumulates of one inference.
        accuracy: on the held-out samples, paired with the teacher; None without labels, and of other outputs.
    """

    name: str
    parameters: int
    macs: int
    accuracy: Accuracy | None


@dataclass(frozen=True)
class DistillResult:
    """What the student has learnt.

    Args:
        teacher: what taught.
        before: the student before.
        after: the student afterwards.
        samples: that it learnt from.
        steps: that it took, those before a kill included.
        first_loss: of the first tenth of the steps, mean.
        last_loss: of the last tenth.
        seconds: of this run's training.
        matched: layers whose features were compared.
    """

    teacher: Taught
    before: Taught
    after: Taught
    samples: int
    steps: int
    first_loss: float
    last_loss: float
    seconds: float
    matched: tuple[Matched, ...] = ()


def teach(request: DistillRequest, watcher: Watcher | None = None) -> DistillResult:
    """Train the student, write it, and say what it answers now.

    Raises:
        PocketfitError: of every kind that loading, reading data, training and writing have.
    """
    return _Run(request, watcher or Nobody()).run()


@dataclass(frozen=True)
class _Parts:
    """What a model learns from or teaches, and what it is judged by."""

    training: Samples
    held_out: Samples


class _Run:
    def __init__(self, request: DistillRequest, watcher: Watcher) -> None:
        self.request = request
        self.root = request.cache or default_cache()
        self.stages = Stages(Store(self.root), watcher)

    def run(self) -> DistillResult:
        request = self.request
        with self.stages.timed("load"):
            teacher = load_model(request.teacher, weights=request.teacher_weights, input_shape=request.input_shape)
            source = find_source(request.student, weights=request.student_weights, input_shape=request.input_shape)
            student = _canonical(source, request.student)
        theirs, ours = self._parts(teacher), self._parts(student)
        told = self._answers(teacher, theirs.held_out, "teacher, held out")
        before = self._judged(student, ours.held_out, told, "before")
        start = time.perf_counter()
        found = self._trained(student, source, teacher, theirs, ours)
        seconds = time.perf_counter() - start
        if request.out is not None:
            preprocess = resolve_preprocess(request.preprocess, student.preprocess)
            write_program(replace(found.model, preprocess=preprocess), request.out)
        after = self._judged(found.model, ours.held_out, told, "after")
        taught = _taught(teacher, _accuracy(told, told, theirs.held_out, teacher))
        tenth = max(len(found.log) // 10, 1)
        losses = [step.loss for step in found.log]
        return DistillResult(
            teacher=taught,
            before=before,
            after=after,
            samples=len(ours.training.inputs),
            steps=len(found.log),
            first_loss=float(np.mean(losses[:tenth])),
            last_loss=float(np.mean(losses[-tenth:])),
            seconds=seconds,
            matched=found.matched,
        )

    def _trained(
        self, student: LoadedModel, source: Source, teacher: LoadedModel, theirs: _Parts, ours: _Parts
    ) -> Distilled:
        # Features are too many to be stored: the teacher then runs in every step, and answers as it does.
        known = self.request.recipe.features is None
        answers = self._answers(teacher, theirs.training, "teacher") if known else None
        parts = {"teacher": teacher.fingerprint, "student": student.fingerprint, "recipe": repr(self.request.recipe)}
        key = key_of(parts | {"samples": ours.training.fingerprint, "teacher's": theirs.training.fingerprint})
        with self.stages.timed("train") as stage, _logs(self.request.logs) as written:

            def told(step: Step) -> None:
                stage.report(step.number, step.steps)
                written(step)

            checkpoint = self.root / "distill" / f"{key}.checkpoint"
            return distill(
                student,
                teacher,
                ours.training,
                self.request.recipe,
                source=source,
                answers=answers,
                teacher_samples=theirs.training,
                checkpoint=checkpoint,
                progress=told,
                learn=self.request.learn,
            )

    def _answers(self, model: LoadedModel, samples: Samples, stage: str) -> np.ndarray:
        """Of all samples, from the store where they are known."""

        def build(out: Path, stage: Stage) -> None:
            np.save(out / "answers.npy", _outputs(model, samples, stage.add))

        key = key_of({"model": model.fingerprint, "samples": samples.fingerprint})
        folder = self.stages.stored(stage, key, build, len(samples.inputs), kind="answers")
        answers: np.ndarray = np.load(folder / "answers.npy", mmap_mode="r")
        return answers

    def _judged(self, model: LoadedModel, held_out: Samples, told: np.ndarray, stage: str) -> Taught:
        with self.stages.timed(stage, len(held_out.inputs)) as timed:
            outputs = _outputs(model, held_out, timed.add)
        return _taught(model, _accuracy(outputs, told, held_out, model))

    def _parts(self, model: LoadedModel) -> _Parts:
        """The samples as this model takes them; the same ones, in the same order, for every model."""
        data = self._read(model, self.request.data)
        if self.request.test_data is not None:
            if self.request.test_data == self.request.data:
                raise DataError(
                    f"{self.request.data} is learnt from: a student cannot be judged by it. Give --test other data, or "
                    "none: a fifth of the samples is then held back."
                )
            return _Parts(data, self._read(model, self.request.test_data))
        count = len(data.inputs) - len(data.inputs) // HELD_OUT_EVERY
        return _Parts(_part(data, slice(None, count)), _part(data, slice(count, None)))

    def _read(self, model: LoadedModel, spec: str) -> Samples:
        with self.stages.timed("data") as stage:
            return load_for(
                model,
                spec,
                preprocess=resolve_preprocess(self.request.preprocess, model.preprocess),
                cache=self.root / "images",
                calibration=1,  # the labelled ones are all others
                progress=stage.report,
            ).evaluation


def _canonical(source: Source, spec: str) -> LoadedModel:
    shape = source.input_shape
    assert shape is not None  # `find_source` would have refused it
    return canonicalise(source.module, shape, name=source.name, source=spec, preprocess=source.preprocess)


def _part(samples: Samples, chosen: slice) -> Samples:
    labels = None if samples.labels is None else samples.labels[chosen]
    mark = key_of({"of": samples.fingerprint, "from": chosen.start, "to": chosen.stop})
    return replace(samples, inputs=samples.inputs[chosen], labels=labels, fingerprint=mark)


def _outputs(model: LoadedModel, samples: Samples, progress: Callable[[int], None]) -> np.ndarray:
    return run_graph(model.graph, batches(samples, BATCH if model.dynamic_batch else 1), progress)


def _accuracy(outputs: np.ndarray, told: np.ndarray, held_out: Samples, model: LoadedModel) -> Accuracy | None:
    if held_out.labels is None or len(model.output.shape) != 2:
        return None
    one, other = (apart(np.asarray(answers), model.outputs)[0] for answers in (outputs, told))
    return evaluate(one, other, held_out.labels)


def _taught(model: LoadedModel, accuracy: Accuracy | None) -> Taught:
    inspection = inspect_model(model)
    return Taught(model.name, inspection.parameters, inspection.macs, accuracy)


@contextmanager
def _logs(folder: Path | None) -> Iterator[Callable[[Step], None]]:
    if folder is None:
        yield lambda step: None
        return
    logs = Logs(folder)
    try:
        yield logs.add
    finally:
        logs.close()
