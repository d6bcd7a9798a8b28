"""A model pruned or slimmed, judged and timed: what `pocketfit prune` and `pocketfit slim` do."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pocketfit.compress.compact.recipe import CompactRecipe, compact
from pocketfit.compress.compact.resolution import ResolutionRecipe, resized
from pocketfit.compress.compact.slimmed import Rewritten
from pocketfit.compress.distill import distill
from pocketfit.compress.prune.channels import Layer, plan_channels
from pocketfit.compress.prune.priced import Price
from pocketfit.compress.prune.recipe import ChannelRecipe
from pocketfit.compress.prune.rounds import Schedule, prune_in_rounds
from pocketfit.compress.prune.weights import SparseLayer, WeightRecipe, zero_weights
from pocketfit.compress.training.loop import Step
from pocketfit.contract import Contract
from pocketfit.data.dataset import Dataset
from pocketfit.data.load import load_for
from pocketfit.data.options import Changes, resolve_preprocess
from pocketfit.data.preprocess import batches
from pocketfit.devices.host import measure_side_by_side
from pocketfit.devices.predict.layers import fastest, layer_times, whole
from pocketfit.devices.predict.limit import LatencyLimit
from pocketfit.devices.predict.npu import TOGETHER
from pocketfit.devices.predict.speeds import Estimate
from pocketfit.devices.profile import Target
from pocketfit.errors import DataError, OptionError
from pocketfit.graph.running import run_graph
from pocketfit.inspection.cost import inspect_model
from pocketfit.models.load import load_model
from pocketfit.models.store import write_program
from pocketfit.rows import apart
from pocketfit.runtimes import get_runtime
from pocketfit.runtimes.work import convert_float_in_child
from pocketfit.stages import Nobody, Watcher, timed
from pocketfit.store import default_cache
from pocketfit.types import Accuracy, InputShape, Latency, LoadedModel, Samples
from pocketfit.verify.accuracy import evaluate

__all__ = ["Cost", "Predicted", "PruneRequest", "PruneResult", "Resized", "prune", "side_by_side"]

BATCH = 64
RUNTIME = "onnxruntime"
# Ratios of latencies closer to 1 are noise of the measurement.
FASTER = 1.03


@dataclass(frozen=True)
class PruneRequest:
    """What `prune` is asked.

    Args:
        model: as for `fit`.
        recipe: channels that are removed, weights that are set to zero, layers that are written in another form, or
            smaller images.
        out: `.pt2` file to write; None to write none.
        data: as for `fit`; None where neither importance nor refit nor accuracy is to see any.
        weights: state dict for what a factory returns.
        input_shape: without the batch, one for each of several inputs; None when the model says it.
        preprocess: a contract, or changes to the model's own; None for the model's own, else the default for images.
        latency: budget of channel pruning in place of its multiply-accumulates, predicted for a phone.
        schedule: rounds of channel pruning, and the training after each.
        training_data: what is trained on, as `data`; None for the unlabelled samples.
        samples: number of unlabelled samples to judge and fit with.
        evaluation_samples: largest number of held-out samples; None for all.
        measure: whether both models are converted to ONNX Runtime and timed.
        dry_run: choose the channels and stop.
        cache: folder for decoded images; None for the user's cache folder.
    """

    model: str
    recipe: ChannelRecipe | WeightRecipe | CompactRecipe | ResolutionRecipe
    out: Path | None = None
    data: str | None = None
    weights: Path | None = None
    input_shape: InputShape | None = None
    preprocess: Contract | Changes | None = None
    latency: LatencyLimit | None = None
    schedule: Schedule = Schedule()  # noqa: RUF009, frozen
    training_data: str | None = None
    samples: int = 512
    evaluation_samples: int | None = None
    measure: bool = True
    dry_run: bool = False
    cache: Path | None = None


@dataclass(frozen=True)
class Cost:
    """Of a model.

    Args:
        parameters: numbers in its weights; None of a dry run.
        zeros: how many weights of its layers are zero; None of a dry run.
        macs: multiply-accumulates of one inference.
    """

    parameters: int | None
    zeros: int | None
    macs: int


@dataclass(frozen=True)
class Predicted:
    """Latency on a phone, predicted.

    Args:
        device: its name.
        way: runtime, precision and processor: the fastest for the model as it was.
        before: of the model as it was.
        after: of the pruned one; None of a dry run.
    """

    device: str
    way: str
    before: Estimate
    after: Estimate | None


@dataclass(frozen=True)
class Resized:
    """Images of another size.

    Args:
        before: what the model took: channels, height, width.
        after: what it takes.
        preprocess: what makes that of an image, where it is known; the written file says so itself.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    preprocess: Contract | None


@dataclass(frozen=True)
class PruneResult:
    """What became of a model.

    Args:
        model: its name.
        before: what it cost.
        after: what it costs.
        channels: groups of channels, where channels were removed.
        sparse: layers, where weights were set to zero.
        rewritten: layers in another form.
        resized: images of another size.
        accuracy: of the pruned model, paired with the one it was; None without labels, and of a dry run.
        predicted: latency on the phone that the budget is about.
        latencies: of ONNX Runtime on this host, before and after, timed in turns; empty where not measured.
        seconds: that the pruning took.
        notes: what a reader should know, in plain sentences.
    """

    model: str
    before: Cost
    after: Cost
    channels: tuple[Layer, ...] = ()
    sparse: tuple[SparseLayer, ...] = ()
    rewritten: tuple[Rewritten, ...] = ()
    resized: Resized | None = None
    accuracy: Accuracy | None = None
    predicted: Predicted | None = None
    latencies: tuple[Latency, ...] = ()
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


def prune(request: PruneRequest, watcher: Watcher | None = None) -> PruneResult:
    """Prune a model, write it, and say what it costs and answers now.

    Raises:
        PocketfitError: of every kind that loading, reading data, pruning and writing have.
    """
    return _Run(request, watcher or Nobody()).run()


def side_by_side(before: LoadedModel, after: LoadedModel) -> tuple[Latency, Latency]:
    """Convert both to ONNX Runtime and time them in turns on one thread of this host."""
    with tempfile.TemporaryDirectory() as folder:
        artifacts = []
        for name, model in (("before", before), ("after", after)):
            (Path(folder) / name).mkdir()
            artifacts.append(convert_float_in_child(model, RUNTIME, Path(folder) / name))
        old, new = measure_side_by_side(get_runtime(RUNTIME), artifacts)
    return old, new


@dataclass(frozen=True)
class _Outcome:
    model: LoadedModel
    after: Cost
    channels: tuple[Layer, ...] = ()
    sparse: tuple[SparseLayer, ...] = ()
    rewritten: tuple[Rewritten, ...] = ()
    resized: Resized | None = None
    held_out: Samples | None = None
    predicted: Predicted | None = None


@dataclass(frozen=True)
class _Budget:
    """Of the latency predicted for a phone: the way to run the model there, what it takes now, and what may stay."""

    device: str
    target: Target
    now: Estimate
    share: float

    @property
    def round_to(self) -> int | None:
        """What the number of channels should be a multiple of there; None where the processor is not particular."""
        return TOGETHER if self.target.processor == "npu" else None

    def price(self, model: LoadedModel) -> Mapping[str, float]:
        """Predicted milliseconds by layer."""
        return layer_times(model, self.target)

    def predicted(self, pruned: LoadedModel | None = None) -> Predicted:
        then = None if pruned is None else whole(pruned, self.target)
        return Predicted(self.device, str(self.target), self.now, then)


class _Run:
    def __init__(self, request: PruneRequest, watcher: Watcher) -> None:
        self.request, self.watcher = request, watcher

    def run(self) -> PruneResult:
        request = self.request
        with timed(self.watcher, "load"):
            model = load_model(request.model, weights=request.weights, input_shape=request.input_shape)
        model = replace(model, preprocess=resolve_preprocess(request.preprocess, model.preprocess))
        data = self._data(model)
        before = _cost(model)
        start = time.perf_counter()
        outcome = self._pruned(model, data)
        seconds = time.perf_counter() - start
        if request.dry_run:
            return self._result(model, before, outcome, seconds, None, ())
        if request.out is not None:
            resized = outcome.resized
            preprocess = model.preprocess if resized is None else resized.preprocess
            write_program(replace(outcome.model, preprocess=preprocess), request.out)
        accuracy = None if data is None else self._accuracy(model, outcome, data.evaluation)
        latencies = self._latencies(model, outcome.model) if request.measure else ()
        return self._result(model, before, outcome, seconds, accuracy, latencies)

    def _data(self, model: LoadedModel) -> Dataset | None:
        request = self.request
        if request.data is None:
            return None
        return self._read(model, request.data, request.samples, request.evaluation_samples)

    def _training(self, model: LoadedModel, data: Dataset | None) -> Samples | None:
        """What is learnt from: other data with their labels, or the samples that channels are judged by."""
        spec = self.request.training_data
        if self.request.schedule.training is None:
            return None
        if spec is None and data is None:
            raise DataError("a training needs samples, and there are none. Give --data, or --train-data.")
        if spec is None:
            return data.calibration if data is not None else None
        if spec == self.request.data:
            raise DataError(
                f"{spec} is also what the pruned model is judged by: it would be judged by what it has learnt. "
                "Give the training other data, or none: it then learns from the unlabelled samples."
            )
        return self._read(model, spec, 1, None).evaluation

    def _read(self, model: LoadedModel, spec: str, calibration: int, evaluation: int | None) -> Dataset:
        with timed(self.watcher, "data") as stage:
            return load_for(
                model,
                spec,
                preprocess=model.preprocess,
                cache=(self.request.cache or default_cache()) / "images",
                calibration=calibration,
                evaluation=evaluation,
                progress=stage.report,
            )

    def _pruned(self, model: LoadedModel, data: Dataset | None) -> _Outcome:
        recipe = self.request.recipe
        if isinstance(recipe, ResolutionRecipe):
            return self._resized(model, data, recipe)
        if isinstance(recipe, WeightRecipe):
            with timed(self.watcher, "zero weights"):
                zeroed = zero_weights(model, recipe)
            return _Outcome(zeroed.model, _cost(zeroed.model), sparse=zeroed.layers)
        samples = () if data is None else tuple(batches(data.calibration, BATCH if model.dynamic_batch else 1))
        if isinstance(recipe, CompactRecipe):
            with timed(self.watcher, "slim"):
                slim = compact(model, recipe, samples)
            learnt = self._learnt(slim.model, model, self._training(model, data))
            return _Outcome(learnt, _cost(learnt), rewritten=slim.layers)
        training = self._training(model, data)
        budget = self._budget(model)
        price: Price | None = None
        if budget is not None:
            rounding = budget.round_to if recipe.round_to is None else recipe.round_to
            recipe, price = replace(recipe, macs=budget.share, round_to=rounding), budget.price
        with timed(self.watcher, "prune") as stage:

            def told(part: str, done: int, total: int) -> None:
                stage.report(done, total)

            if self.request.dry_run:
                plan = plan_channels(model, recipe, samples, told, price)
                after = Cost(None, None, plan.macs_after)
                return _Outcome(
                    model, after, channels=plan.layers, predicted=None if budget is None else budget.predicted()
                )
            pruned = prune_in_rounds(model, recipe, self.request.schedule, samples, training, told, price)
        predicted = None if budget is None else budget.predicted(pruned.model)
        return _Outcome(pruned.model, _cost(pruned.model), channels=pruned.layers, predicted=predicted)

    def _resized(self, model: LoadedModel, data: Dataset | None, recipe: ResolutionRecipe) -> _Outcome:
        """The model for smaller images; the one that it was teaches by images of its own size."""
        request = self.request
        # Where nobody said how images are prepared, they were as the data's default has it.
        told = model.preprocess if data is None else data.evaluation.preprocess
        if data is not None and told is None:
            raise DataError(
                f"{request.data} holds numbers that were made for {model.name} as it is, not images to make others of. "
                "Give an image folder, or an .npz whose x holds uint8 images."
            )
        with timed(self.watcher, "slim"):
            small = resized(replace(model, preprocess=told), recipe, weights=request.weights)
        sizes = Resized(model.input.shape[1:], small.input.shape[1:], small.preprocess)
        if data is None:
            self._training(small, None)
            return _Outcome(small, _cost(small), resized=sizes)
        other = self._read(small, data.source, request.samples, request.evaluation_samples)
        learnt = self._learnt(small, model, self._training(small, other), self._training(model, data))
        return _Outcome(learnt, _cost(learnt), resized=sizes, held_out=other.evaluation)

    def _budget(self, model: LoadedModel) -> _Budget | None:
        """Of latency; None where it is of multiply-accumulates."""
        limit = self.request.latency
        if limit is None or limit.device is None:
            return None
        target = fastest(model, limit.device)
        now = whole(model, target)
        if limit.ms >= now.ms:
            raise OptionError(
                f"{model.name} is predicted to take {now.ms:.2f} ms on {limit.device.name} already ({target}): "
                f"{limit.ms:g} ms leave nothing to prune. Ask for less."
            )
        return _Budget(limit.device.name, target, now, limit.ms / now.ms)

    def _learnt(
        self, slim: LoadedModel, teacher: LoadedModel, samples: Samples | None, shown: Samples | None = None
    ) -> LoadedModel:
        """The slim model after it has learnt from the one that it was made of, where that is wanted."""
        schedule = self.request.schedule
        if schedule.training is None or samples is None or self.request.dry_run:
            return slim
        with timed(self.watcher, "train") as stage:

            def told(step: Step) -> None:
                stage.report(step.number, step.steps)

            return distill(
                slim, teacher, samples, schedule.training, teacher_samples=shown, progress=told, learn=schedule.learn
            ).model

    def _accuracy(self, model: LoadedModel, outcome: _Outcome, held_out: Samples) -> Accuracy | None:
        if held_out.labels is None or len(model.output.shape) != 2:
            return None
        seen = ((model, held_out), (outcome.model, outcome.held_out or held_out))
        with timed(self.watcher, "evaluate", 2 * len(held_out.inputs)) as stage:
            before, after = (_outputs(one, samples, stage.add) for one, samples in seen)
        return evaluate(after, before, held_out.labels)

    def _latencies(self, model: LoadedModel, pruned: LoadedModel) -> tuple[Latency, ...]:
        with timed(self.watcher, "measure"):
            return side_by_side(model, pruned)

    def _result(
        self,
        model: LoadedModel,
        before: Cost,
        outcome: _Outcome,
        seconds: float,
        accuracy: Accuracy | None,
        latencies: tuple[Latency, ...],
    ) -> PruneResult:
        return PruneResult(
            model=model.name,
            before=before,
            after=outcome.after,
            channels=outcome.channels,
            sparse=outcome.sparse,
            rewritten=outcome.rewritten,
            resized=outcome.resized,
            accuracy=accuracy,
            predicted=outcome.predicted,
            latencies=latencies,
            seconds=seconds,
            notes=tuple(_notes(outcome, latencies)),
        )


def _cost(model: LoadedModel) -> Cost:
    inspection = inspect_model(model)
    zeros = sum(layer.zeros for layer in zero_weights(model, WeightRecipe(threshold=0.0)).layers)
    return Cost(inspection.parameters, zeros, inspection.macs)


def _outputs(model: LoadedModel, samples: Samples, progress: Callable[[int], None]) -> np.ndarray:
    outputs = run_graph(model.graph, batches(samples, BATCH if model.dynamic_batch else 1), progress)
    return apart(outputs, model.outputs)[0]


def _notes(outcome: _Outcome, latencies: tuple[Latency, ...]) -> Iterator[str]:
    if outcome.sparse:
        yield "Zeros among the weights make a file smaller once it is compressed; runtimes compute with them as before."
    if not latencies:
        return
    ratio = latencies[0].median_ms / latencies[1].median_ms
    if not outcome.sparse and ratio < FASTER:
        yield f"ONNX Runtime on this host is not faster with it ({ratio:.2f}x); fewer MACs do not always pay."
