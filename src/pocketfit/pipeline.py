"""The way of the data: the only file that knows the order of the stages.

    load → data → calibrate → plan [→ rescue] → simulate → convert, run (each runtime × precision) → measure
         → choose → pack

Every stage is stored under the hash of what it was made from. A candidate that fails is a row with its reason.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import ConfigDict, TypeAdapter

from pocketfit.bundle import Contents, write_bundle
from pocketfit.bundle.policies import check_policy_fits
from pocketfit.bundle.write import check_destination
from pocketfit.compress.quantize.bias_correction import correct_biases, sweep
from pocketfit.compress.quantize.calibrate import calibrate, load_statistics, save_statistics
from pocketfit.compress.quantize.data_free import data_free_bias_correction, data_free_statistics
from pocketfit.compress.quantize.diagnose import Diagnosis, diagnose, tensor_quality
from pocketfit.compress.quantize.divergence import divergence
from pocketfit.compress.quantize.equalization import equalize
from pocketfit.compress.quantize.express import expressible
from pocketfit.compress.quantize.ladder import Ladder
from pocketfit.compress.quantize.placement import place
from pocketfit.compress.quantize.plan import float_plan, int8_plan, plan_from_json, plan_to_json
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.compress.quantize.statistics import TensorStatistics, observe
from pocketfit.contract import Contract, Output, Task
from pocketfit.data.contract.default_output import with_output
from pocketfit.data.dataset import Check, Dataset, named
from pocketfit.data.load import load_for
from pocketfit.data.noise import noise
from pocketfit.data.options import Changes, resolve_preprocess
from pocketfit.data.preprocess import batches, default_preprocess, makes
from pocketfit.devices.host import describe_host
from pocketfit.errors import OptionError
from pocketfit.inspection.cost import inspect_model
from pocketfit.models.canonical import canonicalise
from pocketfit.models.identity import identity
from pocketfit.models.load import find_source
from pocketfit.models.source import Source, only_shape
from pocketfit.models.store import restore, save
from pocketfit.models.with_preprocessing import with_preprocessing
from pocketfit.policy import ArtifactRef, Policy, default_policy
from pocketfit.proving import Planned, Prover, Row
from pocketfit.rescuing import HeldOut, Rescue, Rescuer, recipe_for
from pocketfit.rows import apart, spelled
from pocketfit.runtimes import all_runtimes, get_runtime, is_installed, require, runs_here, why_not_run_here
from pocketfit.runtimes.options import complete_options
from pocketfit.runtimes.pixels import INPUT_TYPE, UINT8
from pocketfit.search.choose import Preference, choose, is_allowed
from pocketfit.search.field import Tier, survey
from pocketfit.search.outcome import Outcome
from pocketfit.stages import Nobody, Stage, Stages, Watcher
from pocketfit.store import Store, default_cache, key_of
from pocketfit.types import (
    Budget,
    Candidate,
    FitResult,
    InputShape,
    LayerQuality,
    LoadedModel,
    Precision,
    QuantizationPlan,
    Runtime,
    Samples,
    Scheme,
    Variant,
)
from pocketfit.verify.judging import float_score
from pocketfit.verify.metrics import TOP_1, Metric
from pocketfit.verify.run import store_inputs

__all__ = ["FitRequest", "Prepared", "Watcher", "diagnosis", "fit", "intentions", "prepare"]

# Calibration samples at a time: some batches are held back by methods that judge themselves.
BATCH = 10
# Numbers in a batch of held-out inputs: ten photographs of 224 x 224, beyond which a CPU gains nothing, or some more of
# smaller ones, of which ten would leave it idle between ops.
BATCH_NUMBERS = 10 * 3 * 224 * 224
LARGEST_BATCH = 100
GOLDEN_SAMPLES = 4
# Calibration samples on which ops are quantized one at a time.
DIAGNOSED = 32
# An artifact may be as far from the golden outputs as twice the worst seen on the held-out data, on any processor.
TOLERANCE_FACTOR = 2.0
# Room for another processor's summation order where float artifacts agreed with the simulation to the last bit.
TOLERANCE_FLOOR = 1e-4
# Of the largest output, for an artifact that was never run: what a processor of another kind may make of the same
# numbers in float32, and in half, which has three digits; INT8 may be as far from its plan as that is from float.
UNTRIED_SHARE = {Precision.FLOAT32: 1e-3, Precision.FLOAT16: 2e-2, Precision.INT8: 2e-2}


@dataclass(frozen=True)
class Prepared:
    """A network that was made from the model, with what it is judged by; `fit` then loads neither model nor data.

    Args:
        network: folder of the network, from `models.store.save`.
        data: as the network takes them.
        floats: outputs, on the held-out samples, of the float model that drops are counted from, float32 N×….
        tried: what a search has tried so far, for the report.
        workers: processes that work on this host while latency is measured, this one included.
    """

    network: Path
    data: Dataset
    floats: np.ndarray
    tried: tuple[Outcome, ...] = ()
    workers: int = 1


@dataclass(frozen=True)
class FitRequest:
    """What `fit` is asked.

    Args:
        model: `package.module:factory`, `file.py:factory`, `timm:NAME` or a `.pt2` file.
        data: an image folder, an `.npz` file, a factory, or `digits`; None for INT8 from batch-norm statistics, proved
            on noise.
        out: folder of the bundle; None to write none.
        weights: state dict for what a factory returns.
        input_shape: without the batch, one for each of several inputs; None when the model says it.
        preprocess: a contract, or changes to the model's own; None for the model's own, else the default for images.
        budget: limits an artifact must keep.
        targets: names of runtimes; None for all that are installed.
        precisions: to try in each runtime that has them.
        prefer: among what fits, the smallest or the fastest.
        calibration_samples: number of unlabelled samples to calibrate with.
        evaluation_samples: largest number of held-out samples; None for all.
        keep_all: pack every artifact, not only the chosen ones.
        cache: folder of stored stages; None for the user's cache folder.
        rescue: climb the ladder for the INT8 plan; None takes the first plan as it is.
        options: of runtimes, by name of the runtime and of the option; what is absent has its default.
        postprocess: what the outputs mean; None for classes where the metric is about them and samples have labels, or
            what `preprocess` says.
        embed_preprocessing: put colour, scale, mean, std and layout into the model, which then takes pixels, as uint8
            where the runtime has that.
        metric: what outputs are judged by where the data has labels; see `pocketfit.verify.metrics.find_metric`.
        prepared: a network made from the model, to be fitted in its place; None for the model itself.
        tiers: of phones to say of what suits each: "high", "mid", "low".
        policy: which artifact runs when, put into the bundle; "default" for one that fits what the bundle has.
    """

    model: str
    data: str | None
    out: Path | None = None
    weights: Path | None = None
    input_shape: InputShape | None = None
    preprocess: Contract | Changes | None = None
    budget: Budget = field(default_factory=Budget)
    targets: tuple[str, ...] | None = None
    precisions: tuple[Precision, ...] = tuple(Precision)
    prefer: Preference = "size"
    calibration_samples: int = 100
    evaluation_samples: int | None = None
    keep_all: bool = False
    cache: Path | None = None
    rescue: Rescue | None = None
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    postprocess: Output | Task | None = None
    embed_preprocessing: bool = False
    metric: Metric = TOP_1
    prepared: Prepared | None = None
    tiers: tuple[Tier, ...] = ()
    policy: Policy | Literal["default"] | None = None


def fit(request: FitRequest, watcher: Watcher | None = None) -> FitResult:
    """Fit a model into a phone: plan, convert, prove, choose and pack.

    Args:
        request: what to do.
        watcher: told of every stage.

    Returns:
        The whole table. A bundle is written when `request.out` is given and something fits the budget; whether
        anything does is in `choices`.

    Raises:
        InputError: model, data, options or output are not usable.
        RuntimeMissing: a runtime named in `targets` is not installed.
    """
    return _checked_run(request, watcher or Nobody()).fit()


def prepare(request: FitRequest, watcher: Watcher | None = None) -> Prepared:
    """The model as it is, with its data and what it answers; nothing is converted or written.

    Raises:
        InputError: model, data, options or output are not usable.
        RuntimeMissing: a runtime named in `targets` is not installed.
    """
    return _checked_run(request, watcher or Nobody()).prepare()


def diagnosis(request: FitRequest, scheme: Scheme, watcher: Watcher | None = None) -> tuple[Diagnosis, ...]:
    """Which ops of a model suffer from INT8, and from what; the worst first.

    Args:
        request: what to look at; nothing is converted or written.
        scheme: how activations are quantized.
        watcher: told of every stage.

    Raises:
        InputError: model, data or options are not usable.
    """
    return _Run(request, (), watcher or Nobody()).diagnose(scheme)


def intentions(request: FitRequest) -> tuple[str, ...]:
    """What `fit` would do, in plain sentences; reads the model and the data, converts and writes nothing.

    Raises:
        InputError: model, data, options or output are not usable.
        RuntimeMissing: a runtime named in `targets` is not installed.
    """
    run = _checked_run(request, Nobody())
    model, _ = run.load()
    data = run.data(model)
    missing = [runtime for runtime in run.runtimes if not is_installed(runtime)]
    inputs = named(model.inputs) if model.more_inputs else spelled([model.input.shape[1:]])
    return (
        f"{model.name}: input {inputs}, fingerprint {model.fingerprint[:12]}",
        f"calibrate on {len(data.calibration.inputs)} unlabelled samples, "
        f"prove on {len(data.evaluation.inputs)} held-out ones of {data.source}"
        + ("" if data.evaluation.labels is None else f", by {request.metric.name}"),
        *(
            f"convert to {runtime.info.title}: {', '.join(_precisions(request, runtime))}"
            + ("" if runs_here(runtime) else f"; not run here: {why_not_run_here(runtime)}")
            for runtime in run.runtimes
            if runtime not in missing
        ),
        *(f"leave out {runtime.info.title}: not installed" for runtime in missing),
        *run.preflight(model),
        f"write the bundle to {request.out}",
        *data.notes,
    )


def _checked_run(request: FitRequest, watcher: Watcher) -> _Run:
    """A run whose targets and destination were found usable before any work."""
    if request.embed_preprocessing and request.data is None:
        raise OptionError(
            "--embed-preprocessing needs images: without them nothing tells what the model makes of pixels. "
            "Give --data."
        )
    runtimes = _targets(request)
    _check_options(request, runtimes)
    if isinstance(request.policy, Policy):
        check_policy_fits(request.policy, [ArtifactRef(*kind) for kind in _kinds(request, runtimes)])
    if request.out is not None:
        check_destination(request.out)
    return _Run(request, runtimes, watcher)


def _targets(request: FitRequest) -> tuple[Runtime, ...]:
    if request.targets is None:
        return all_runtimes()
    runtimes = tuple(get_runtime(name) for name in dict.fromkeys(request.targets))
    for runtime in runtimes:
        require(runtime)
    return runtimes


def _check_options(request: FitRequest, runtimes: tuple[Runtime, ...]) -> None:
    infos = {runtime.info.name: runtime.info for runtime in runtimes}
    for name, asked in request.options.items():
        if name not in infos:
            raise OptionError(f"{', '.join(asked)} is for {name}, which is none of the targets: {', '.join(infos)}.")
        complete_options(infos[name], asked)


def _kinds(request: FitRequest, runtimes: tuple[Runtime, ...]) -> Iterator[tuple[str, Precision]]:
    """Every artifact that may come of a request."""
    for runtime in runtimes:
        if is_installed(runtime):
            yield from ((runtime.info.name, precision) for precision in _precisions(request, runtime))


def _precisions(request: FitRequest, runtime: Runtime) -> tuple[Precision, ...]:
    return tuple(precision for precision in request.precisions if precision in runtime.info.precisions)


class _Run:
    """One run; each method is a stage or a few that belong together."""

    def __init__(self, request: FitRequest, runtimes: tuple[Runtime, ...], watcher: Watcher) -> None:
        self.request = request
        self.runtimes = runtimes
        self.store = Store(request.cache or default_cache())
        self.stages = Stages(self.store, watcher)
        self.versions = _versions()
        self.simulated: dict[str, np.ndarray] = {}

    def fit(self) -> FitResult:
        model, model_folder = self.load()
        for sentence in self.preflight(model):
            self.stages.watcher.say(sentence)
        data = self.data(model)
        source = Planned(Variant(model, float_plan(model, Precision.FLOAT32)), model_folder, model_folder, "")
        floats = self.floats(source, data)
        float_value = self.float_value(model, data, floats)
        ladder = None
        if self.request.rescue is not None and self.request.data is not None:
            ladder = self.climb(model, data, floats, self.request.rescue)
        plans = {
            precision: self.rescued(data, ladder)
            if ladder is not None and precision is Precision.INT8
            else self.plan(source, data, precision)
            for precision in self.request.precisions
        }
        rows = self.rows(data, plans)
        workers = 1 if self.request.prepared is None else self.request.prepared.workers
        prover = Prover(self.stages, data.evaluation, self.inputs(data), floats, self.request.metric, workers)
        candidates = prover.candidates(rows)
        choices = choose(candidates, self.request.budget, self.request.prefer)
        inspection = inspect_model(model)
        quality = self.quality(plans)
        result = FitResult(
            model=model.name,
            source=self.request.model,
            input=model.input,
            more_inputs=model.more_inputs,
            parameters=inspection.parameters,
            macs=inspection.macs,
            preprocess=self.contract(model, data, floats),
            calibration_samples=len(data.calibration.inputs),
            evaluation_samples=len(data.evaluation.inputs),
            float_value=float_value,
            budget=self.request.budget,
            candidates=candidates,
            choices=choices,
            layers=quality,
            notes=(*self.embedded(), *data.notes, *(note for planned in plans.values() for note in planned.plan.notes)),
            stages=tuple(self.stages.times),
            host=describe_host(),
            versions=self.versions,
            rungs=() if ladder is None else ladder.rungs,
            metric=self.request.metric.info,
            field=survey(model, inspection, candidates, self.request.budget, self.request.tiers),
        )
        # What was rescued as far as it would go is kept even where that is not far enough.
        worth = any(choice.precision for choice in choices) or self.request.rescue is not None
        if self.request.out is not None and (worth or self.nothing_runs_here(candidates)):
            self.pack(model, data, plans, rows, floats, result)
        return replace(result, stages=tuple(self.stages.times))

    def prepare(self) -> Prepared:
        model, folder = self.load()
        data = self.data(model)
        source = Planned(Variant(model, float_plan(model, Precision.FLOAT32)), folder, folder, "")
        floats = self.floats(source, data)
        self.float_value(model, data, floats)
        # With its name and preprocessing, which the stored model is without.
        known = {"model": folder.name, "name": model.name, "source": model.source, "preprocess": repr(model.preprocess)}
        named = self.store.get("prepared", key_of(known), lambda out: save(model, out))
        return Prepared(named, data, floats)

    # load and data -----------------------------------------------------------------------------------------------

    def load(self) -> tuple[LoadedModel, Path]:
        """The model as it is stored: exported once, found again as long as module and weights are the same."""
        with self.stages.timed("load"):
            request = self.request
            if request.prepared is not None:
                return restore(request.prepared.network), request.prepared.network
            source = self.source()
            assert source.input_shape is not None  # find_source sees to it
            name, shape = source.name, source.input_shape
            known = identity(source.module, shape)
            versions = _only(self.versions, "pocketfit", "torch")
            if known is None:
                model = canonicalise(source.module, shape, name=name)
                folder = self.store.get(
                    "model", key_of({"fingerprint": model.fingerprint} | versions), lambda out: save(model, out)
                )
            else:
                key = key_of({"identity": known} | versions)
                folder = self.store.get(
                    "model", key, lambda out: save(canonicalise(source.module, shape, name=name), out)
                )
            stored = restore(folder)
            return replace(stored, name=name, source=request.model, preprocess=source.preprocess), folder

    def data(self, model: LoadedModel) -> Dataset:
        if self.request.prepared is not None:
            return self.request.prepared.data
        if self.request.data is None:
            return noise(model.row_shape)
        with self.stages.timed("data") as stage:
            return load_for(
                model,
                self.request.data,
                preprocess=self.preprocess(model),
                cache=self.store.root / "images",
                calibration=self.request.calibration_samples,
                evaluation=self.request.evaluation_samples,
                progress=stage.report,
                check=self.check(model),
            )

    def source(self) -> Source:
        request = self.request
        source = find_source(request.model, weights=request.weights, input_shape=request.input_shape)
        if not request.embed_preprocessing:
            return source
        assert source.input_shape is not None  # find_source sees to it
        shape = only_shape(source.input_shape, "--embed-preprocessing is for")
        return with_preprocessing(source, self.asked(source.preprocess) or default_preprocess(shape))

    def check(self, model: LoadedModel) -> Check:
        """Of the targets, by what the metric needs."""
        return lambda targets, spec: self.request.metric.check(targets, spec, model.outputs)

    def floats(self, source: Planned, data: Dataset) -> np.ndarray:
        """Outputs of the float model that drops are counted from, on the held-out samples."""
        if self.request.prepared is not None:
            return self.request.prepared.floats
        return self.simulate(data, self.plan(source, data, Precision.FLOAT32), Scheme.AFFINE)

    def float_value(self, model: LoadedModel, data: Dataset, floats: np.ndarray) -> float | None:
        """The float model's figure; what is wrong with a metric shows before anything is converted."""
        if data.evaluation.labels is None:
            return None
        return float_score(self.request.metric, apart(floats, model.outputs), data.evaluation.labels)

    def preprocess(self, model: LoadedModel) -> Contract | None:
        """What is left to be done outside the model."""
        return model.preprocess if self.request.embed_preprocessing else self.asked(model.preprocess)

    def asked(self, said: Contract | None) -> Contract | None:
        """What the user says, on top of what the model says."""
        return resolve_preprocess(self.request.preprocess, said)

    def contract(self, model: LoadedModel, data: Dataset, floats: np.ndarray) -> Contract | None:
        """What an app has to do: what was done here, and what was said of images where inputs came ready made."""
        said = data.evaluation.preprocess or self.preprocess(model)
        if said is None or not makes(said, model.row_shape):
            return None
        samples = data.evaluation
        labelled = samples.labels is not None and self.request.metric.info.answers
        first = apart(floats, model.outputs)[0]
        return with_output(said, self.request.postprocess, first, samples.classes, labelled=labelled)

    def embedded(self) -> tuple[str, ...]:
        """What an app has to know of a model that takes pixels."""
        if not self.request.embed_preprocessing:
            return ()
        return (
            "Colour, scale, mean, std and layout are inside the model: feed RGB pixels 0..255 as they are, height x "
            "width x 3; resize, letterbox and crop stay with the app.",
        )

    # plan --------------------------------------------------------------------------------------------------------

    def plan(self, source: Planned, data: Dataset, precision: Precision) -> Planned:
        model = source.variant.model
        if precision is not Precision.INT8:
            parts = {"fingerprint": model.fingerprint, "precision": precision}
            return self.stored_plan(source, float_plan(model, precision), parts)
        if self.request.data is None:
            return self.data_free(source)
        size = self.batch(model)
        total = len(data.calibration.inputs)
        statistics = self.statistics(model, data)

        def decide(out: Path, stage: Stage) -> None:
            plan = int8_plan(model, statistics, data_fingerprint=data.calibration.fingerprint, samples=total)
            plan, quality = correct_biases(model, plan, list(batches(data.calibration, size)), stage.add)
            _write_plan(plan, out)
            (out / "quality.json").write_bytes(_QUALITY.dump_json(quality))

        key = self.calibrated(model, data)
        return self.planned(source, self.stages.stored("plan", key, decide, 2 * total), key)

    def statistics(self, model: LoadedModel, data: Dataset) -> dict[str, TensorStatistics]:
        """Of the model's tensors on the calibration samples."""

        def gather(out: Path, stage: Stage) -> None:
            names = place(model.graph).tensors
            samples = batches(data.calibration, self.batch(model))
            save_statistics(calibrate(model.graph, samples, names, stage.add), out / "statistics.npz")

        folder = self.stages.stored("calibrate", self.calibrated(model, data), gather, len(data.calibration.inputs))
        return load_statistics(folder / "statistics.npz")

    def calibrated(self, model: LoadedModel, data: Dataset) -> str:
        """Key of what depends on the model and its calibration samples alone."""
        return key_of(
            {
                "fingerprint": model.fingerprint,
                "calibration": data.calibration.fingerprint,
                "versions": _only(self.versions, "pocketfit", "torch"),
            }
        )

    def data_free(self, source: Planned) -> Planned:
        """An INT8 plan from what batch normalisation remembers of the training data."""
        preprocess = self.preprocess(source.variant.model)
        equalized = equalize(source.variant.model)
        model = equalized.model

        def decide(out: Path, stage: Stage) -> None:
            statistics = data_free_statistics(model, preprocess)
            plan = int8_plan(model, statistics, data_fingerprint="", samples=0)
            plan = data_free_bias_correction(model, plan, preprocess)
            _write_plan(replace(plan, notes=(*equalized.notes, *plan.notes)), out)
            (out / "quality.json").write_bytes(_QUALITY.dump_json({}))

        versions = _only(self.versions, "pocketfit", "torch")
        key = key_of({"data-free": model.fingerprint, "preprocess": repr(preprocess), "versions": versions})
        path = self.stages.stored("plan", key, decide)
        folder = self.store.get("model", key_of({"fingerprint": model.fingerprint}), lambda out: save(model, out))
        return self.planned(Planned(Variant(model, source.plan), folder, path, key), path, key)

    def stored_plan(self, source: Planned, plan: QuantizationPlan, made_from: Mapping[str, object]) -> Planned:
        """A plan that takes no time to make, under the hash of what it was made from."""
        key = key_of({**made_from, "pocketfit": self.versions["pocketfit"]})
        return self.planned(source, self.store.get("plan", key, lambda out: _write_plan(plan, out)), key)

    def planned(self, source: Planned, folder: Path, key: str) -> Planned:
        plan = plan_from_json((folder / "plan.json").read_bytes())
        return replace(source, variant=replace(source.variant, plan=plan), path=folder, key=key)

    def batch(self, model: LoadedModel) -> int:
        return BATCH if model.dynamic_batch else 1

    def held_out(self, model: LoadedModel, data: Dataset) -> Iterator[np.ndarray]:
        fitting = BATCH_NUMBERS // math.prod(model.row_shape)
        size = min(max(fitting, 1), LARGEST_BATCH) if model.dynamic_batch else 1
        return batches(data.evaluation, size)

    def preflight(self, model: LoadedModel) -> list[str]:
        """What the runtimes cannot express of the INT8 plan that is asked for, known before anything is calibrated."""
        if self.request.rescue is None:
            return []
        nothing_seen = observe("", torch.tensor([-1.0, 1.0]))
        statistics = dict.fromkeys(place(model.graph).tensors, nothing_seen)
        recipe = recipe_for(model, self.request.rescue)
        plan = int8_plan(model, statistics, data_fingerprint="", samples=0, recipe=recipe)
        return [
            f"{runtime.info.name}: {note}"
            for runtime in self.runtimes
            for note in expressible(plan, model, runtime.info)[1]
        ]

    # rescue ------------------------------------------------------------------------------------------------------

    def climb(self, model: LoadedModel, data: Dataset, floats: np.ndarray, rescue: Rescue) -> Ladder:
        schemes = tuple(dict.fromkeys(runtime.info.scheme for runtime in self.runtimes))
        versions = _only(self.versions, "pocketfit", "torch")
        training = None if rescue.training_data is None else self.training(model, rescue.training_data)
        calibration = list(batches(data.calibration, self.batch(model)))
        held_out = HeldOut(lambda: self.held_out(model, data), floats)
        rescuer = Rescuer(
            self.stages, model, data, calibration, held_out, schemes, versions, training, self.request.metric
        )
        return rescuer.climb(rescue)

    def training(self, model: LoadedModel, spec: str) -> Samples:
        """All samples but one of the data to train on: the one goes where calibration would, which nothing reads."""
        if spec == self.request.data:
            raise OptionError(
                f"{spec} is what the result is judged on as well: it would be trained on what is held out. "
                "Give the training other data, or none: it then learns from the calibration samples."
            )
        with self.stages.timed("training data") as stage:
            samples = load_for(
                model,
                spec,
                preprocess=self.preprocess(model),
                cache=self.store.root / "images",
                calibration=1,
                progress=stage.report,
                check=self.check(model),
            ).evaluation
        # A training learns from classes; what other metrics compare with it cannot use.
        return samples if self.request.metric.info.answers else replace(samples, labels=None)

    def rescued(self, data: Dataset, ladder: Ladder) -> Planned:
        """The ladder's best as converters are given it, with the quality of its layers."""
        model, plan = ladder.draft.variant.model, replace(ladder.draft.variant.plan, notes=ladder.draft.notes)
        folder = self.store.get("model", key_of({"fingerprint": model.fingerprint}), lambda out: save(model, out))
        samples = list(batches(data.calibration, self.batch(model)))
        schemes = dict.fromkeys(runtime.info.scheme for runtime in self.runtimes)

        def judge(out: Path, stage: Stage) -> None:
            _write_plan(plan, out)
            reference = ladder.draft.base.graph
            quality = {
                scheme: sweep(model.graph, plan, scheme, samples, correct=False, reference=reference).quality
                for scheme in schemes
            }
            (out / "quality.json").write_bytes(_QUALITY.dump_json(quality))

        key = key_of({"plan": plan_to_json(plan), "model": model.fingerprint, "pocketfit": self.versions["pocketfit"]})
        path = self.stages.stored("plan", key, judge)
        return Planned(Variant(model, plan), folder, path, key)

    def quality(self, plans: dict[Precision, Planned]) -> dict[Scheme, tuple[LayerQuality, ...]]:
        if Precision.INT8 not in plans:
            return {}
        wanted = {runtime.info.scheme for runtime in self.runtimes}
        stored = _QUALITY.validate_json((plans[Precision.INT8].path / "quality.json").read_bytes())
        return {scheme: layers for scheme, layers in stored.items() if scheme in wanted}

    def diagnose(self, scheme: Scheme) -> tuple[Diagnosis, ...]:
        model, folder = self.load()
        data = self.data(model)
        source = Planned(Variant(model, float_plan(model, Precision.FLOAT32)), folder, folder, "")
        plan = self.plan(source, data, Precision.INT8).plan
        samples = list(batches(data.calibration, self.batch(model)))
        # Which op is to blame is plain from a part of the samples, and every op takes a run of the model.
        part = samples[: max(1, DIAGNOSED // len(samples[0]))]
        floats = simulate(model, source.plan, scheme, part)
        with self.stages.timed("quality"):
            quality = tensor_quality(model, plan, scheme, samples)
        statistics = self.statistics(model, data)
        with self.stages.timed("sensitivity") as stage:

            def loss(changed: QuantizationPlan) -> float:
                return divergence(simulate(model, changed, scheme, part), floats, model.outputs)

            return diagnose(model, plan, statistics, loss, quality, stage.report)

    # simulate ----------------------------------------------------------------------------------------------------

    def rows(self, data: Dataset, plans: dict[Precision, Planned]) -> list[Row]:
        """Every runtime in every precision it has, with the plan as it can express it and what must come of it."""
        rows = []
        for runtime in self.runtimes:
            options, told = self.options(runtime)
            for precision in _precisions(self.request, runtime):
                planned, notes = self.expressed(plans[precision], runtime)
                planned = replace(planned, variant=replace(planned.variant, options=options))
                scheme = runtime.info.scheme if precision is Precision.INT8 else Scheme.AFFINE
                rows.append(Row(runtime, planned, self.simulate(data, planned, scheme), (*told, *notes)))
        return rows

    def options(self, runtime: Runtime) -> tuple[dict[str, str], tuple[str, ...]]:
        """What is asked of a runtime, and what it cannot do of that."""
        options = dict(self.request.options.get(runtime.info.name, {}))
        if not self.request.embed_preprocessing:
            return options, ()
        if INPUT_TYPE not in (option.name for option in runtime.info.options):
            return options, ("pixels are given as float32: Pocketfit writes no uint8 input for this runtime",)
        return {INPUT_TYPE: UINT8, **options}, ()

    def expressed(self, planned: Planned, runtime: Runtime) -> tuple[Planned, tuple[str, ...]]:
        """The nearest plan that the runtime can express, and what was changed for it."""
        plan, notes = expressible(planned.plan, planned.variant.model, runtime.info)
        if not notes:
            return planned, ()
        return self.stored_plan(planned, plan, {"plan": planned.key, "runtime": runtime.info.name}), notes

    def simulate(self, data: Dataset, planned: Planned, scheme: Scheme) -> np.ndarray:
        """Outputs on the held-out data; float plans do not depend on the scheme, one simulation serves all runtimes."""
        key = key_of({"plan": planned.key, "scheme": scheme, "evaluation": data.evaluation.fingerprint})
        if key not in self.simulated:
            self.simulated[key] = self._simulate(data, planned, scheme, key)
        return self.simulated[key]

    def _simulate(self, data: Dataset, planned: Planned, scheme: Scheme, key: str) -> np.ndarray:
        model = planned.variant.model

        def run(out: Path, stage: Stage) -> None:
            samples = self.held_out(model, data)
            np.save(out / "outputs.npy", simulate(model, planned.plan, scheme, samples, stage.add))

        name = f"simulate {planned.plan.precision}"
        name += f" {scheme}" if planned.plan.precision is Precision.INT8 else ""
        folder = self.stages.stored(name, key, run, len(data.evaluation.inputs), kind="simulate")
        outputs: np.ndarray = np.load(folder / "outputs.npy")
        return outputs

    def inputs(self, data: Dataset) -> Path:
        key = key_of({"evaluation": data.evaluation.fingerprint})
        return self.stages.stored("inputs", key, lambda out, _: store_inputs(data.evaluation, out))

    # candidates --------------------------------------------------------------------------------------------------

    # pack --------------------------------------------------------------------------------------------------------

    def tried(self) -> tuple[Outcome, ...]:
        return () if self.request.prepared is None else self.request.prepared.tried

    def nothing_runs_here(self, candidates: tuple[Candidate, ...]) -> bool:
        """Whether the targets only convert here, and did."""
        converted = any(self.is_asked_for(candidate) for candidate in candidates)
        return converted and not any(runs_here(runtime) for runtime in self.runtimes)

    def policy(self, candidates: tuple[Candidate, ...], chosen: frozenset[tuple[str, Precision]]) -> Policy | None:
        """The policy of the bundle; by default over what fits the budget, or over what is packed where nothing does."""
        if self.request.policy != "default":
            return self.request.policy
        allowed = [one for one in candidates if is_allowed(one, self.request.budget)]
        usable = allowed or [one for one in candidates if one.evidence is not None]
        usable += [one for one in candidates if self.is_asked_for(one)]
        ordered = sorted(usable, key=lambda one: (one.runtime, one.precision) not in chosen)
        return default_policy([ArtifactRef(one.runtime, one.precision) for one in ordered])

    def is_asked_for(self, candidate: Candidate) -> bool:
        """Whether it was converted, not run, for a runtime that the user named: it is packed without evidence."""
        return candidate.not_run is not None and candidate.runtime in (self.request.targets or ())

    def pack(
        self,
        model: LoadedModel,
        data: Dataset,
        plans: dict[Precision, Planned],
        rows: list[Row],
        floats: np.ndarray,
        result: FitResult,
    ) -> None:
        from pocketfit.report.html import render_html

        assert self.request.out is not None
        expected = {(row.runtime.info.name, row.precision): row.expected for row in rows}
        chosen = frozenset((choice.runtime, choice.precision) for choice in result.choices if choice.precision)
        measured = [candidate for candidate in result.candidates if candidate.evidence is not None]
        everything = self.request.keep_all or not chosen
        policy = self.policy(result.candidates, chosen)
        wanted = chosen | _named_by(policy)
        packed = [one for one in measured if everything or (one.runtime, one.precision) in wanted]
        packed += [one for one in result.candidates if self.is_asked_for(one)]
        kinds = [(one.runtime, one.precision) for one in packed]
        first = next(iter(batches(data.evaluation, GOLDEN_SAMPLES)))
        with self.stages.timed("pack"):
            write_bundle(
                Contents(
                    model=model.name,
                    source=self.request.model,
                    fingerprint=model.fingerprint,
                    input=model.input,
                    output=model.output,
                    more_outputs=model.more_outputs,
                    more_inputs=model.more_inputs,
                    candidates=tuple(packed),
                    chosen=chosen,
                    plans={one.precision: plan_to_json(plans[one.precision].plan) for one in packed},
                    golden_inputs=first,
                    golden_outputs={kind: expected[kind][:GOLDEN_SAMPLES] for kind in kinds},
                    tolerances={
                        (one.runtime, one.precision): _tolerance(one, expected[one.runtime, one.precision], floats)
                        for one in packed
                    },
                    preprocess=result.preprocess,
                    classes=data.evaluation.classes,
                    versions=self.versions,
                    report_html=render_html(result, self.tried()),
                    policy=policy,
                    tiers=result.field,
                ),
                self.request.out,
            )


def _named_by(policy: Policy | None) -> frozenset[tuple[str, Precision]]:
    """Runtime and precision of the artifacts that a policy chooses among."""
    variants = () if policy is None else policy.variants
    return frozenset((one.runtime, one.precision) for variant in variants for one in variant.artifacts)


# A layer without noise has an infinite SQNR.
_QUALITY = TypeAdapter(dict[Scheme, tuple[LayerQuality, ...]], config=ConfigDict(ser_json_inf_nan="constants"))


def _write_plan(plan: QuantizationPlan, folder: Path) -> None:
    (folder / "plan.json").write_text(plan_to_json(plan))


def _tolerance(candidate: Candidate, expected: np.ndarray, floats: np.ndarray) -> float:
    if candidate.evidence is None:
        cost, share = float(np.abs(expected - floats).max()), UNTRIED_SHARE[candidate.precision]
        return max(cost, share * float(np.abs(expected).max()))
    floor = TOLERANCE_FLOOR * float(np.abs(expected).max())
    return max(TOLERANCE_FACTOR * candidate.evidence.parity.max_error, floor)


def _versions() -> dict[str, str]:
    packages = {package for runtime in all_runtimes() if is_installed(runtime) for package in runtime.info.packages}
    names = sorted({"pocketfit", "torch", "numpy", *packages})
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in names}}


def _only(versions: dict[str, str], *names: str) -> dict[str, str]:
    return {name: versions[name] for name in names}
