"""Weights of few bits and of few scales, MobileNetV2, method by method.

W4A8: weights with 4 bits, those of depthwise layers and of the first one with 8; activations
with 8, asymmetric. W8A8 per tensor: one scale for each weight. Power of two: the layers that have 4 bits elsewhere hold
zero and ± powers of two. Judged by the simulation that the runtimes follow, on 1,200 held-out images; `seconds` are
those from the float model and 100 images to the plan.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from benchmarks.cases import CASES, Case
from benchmarks.real_data import cache_folder, imagenet_1300
from benchmarks.results import Row
from pocketfit.compress.quantize.adaround import adaround
from pocketfit.compress.quantize.bias_correction import correct_biases, sweep
from pocketfit.compress.quantize.calibrate import calibrate
from pocketfit.compress.quantize.gptq import gptq
from pocketfit.compress.quantize.placement import place
from pocketfit.compress.quantize.plan import int8_plan, weight_bits_of
from pocketfit.compress.quantize.power_of_two import power_of_two_weight
from pocketfit.compress.quantize.recipe import Granularity, Recipe
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.compress.quantize.statistics import TensorStatistics
from pocketfit.data.load import load_data
from pocketfit.data.preprocess import batches
from pocketfit.graph.attributes import get_tensor
from pocketfit.models import load_model
from pocketfit.models.weights import with_weights
from pocketfit.types import LoadedModel, Scheme, Variant
from pocketfit.verify.accuracy import evaluate
from pocketfit.verify.parity import compare

SCHEME = Scheme.AFFINE
CALIBRATION = 100
BATCH = 10
# Layers that AdaRound is given; all of them would take an hour.
WORST = 5

FOUR_BITS = Recipe(weight_bits=4)
PER_TENSOR = Recipe(granularity=Granularity.PER_TENSOR)


@dataclass(frozen=True)
class Subject:
    """The float model, and all that methods and judges need.

    Args:
        model: the canonical float model.
        samples: batches of calibration images.
        held_out: batches of the other images.
        labels: of the held-out images.
        floats: what the float model answers to them.
        statistics: of the float model on the calibration images.
        calibrating: seconds that these took.
    """

    model: LoadedModel
    samples: list[np.ndarray]
    held_out: list[np.ndarray]
    labels: np.ndarray
    floats: np.ndarray
    statistics: Mapping[str, TensorStatistics]
    calibrating: float

    def nearest(self, recipe: Recipe) -> Variant:
        """Weights rounded to nearest, nothing corrected."""
        count = sum(map(len, self.samples))
        plan = int8_plan(self.model, self.statistics, data_fingerprint="", samples=count, recipe=recipe)
        return Variant(self.model, plan)


def run() -> Iterator[Row]:
    """One row per kind of weights and method."""
    case = CASES[0]
    subject = _subject(case)
    for method, build in _methods(subject):
        yield _row(case.name, subject, method, build)


def _methods(subject: Subject) -> Iterator[tuple[str, Callable[[], Variant]]]:
    """What is compared; the tools of others are called in `benchmarks.rescue`, by `benchmarks.peers`."""
    for name, recipe in (("W4A8", FOUR_BITS), ("W8A8 per tensor", PER_TENSOR)):
        nearest = subject.nearest(recipe)
        yield f"{name}, round to nearest", lambda recipe=recipe: subject.nearest(recipe)  # type: ignore[misc]
        yield f"{name}, bias correction", lambda nearest=nearest: _corrected(subject, nearest)  # type: ignore[misc]
        yield f"{name}, GPTQ-LS", lambda nearest=nearest: _gptq(subject, nearest)  # type: ignore[misc]
    nearest = subject.nearest(FOUR_BITS)
    worst = f"AdaRound on {WORST} layers"
    yield f"W4A8, bias correction, {worst}", lambda: _adaround(subject, _corrected(subject, nearest))
    yield f"W4A8, GPTQ-LS, {worst}", lambda: _adaround(subject, _gptq(subject, nearest))
    yield "power of two, bias correction", lambda: _corrected(subject, _powers_of_two(subject))


def _corrected(subject: Subject, variant: Variant) -> Variant:
    reference = subject.model.graph
    plan, _ = correct_biases(variant.model, variant.plan, subject.samples, schemes=(SCHEME,), reference=reference)
    return replace(variant, plan=plan)


def _gptq(subject: Subject, variant: Variant) -> Variant:
    return gptq(subject.model, variant.plan, subject.samples, scheme=SCHEME)


def _adaround(subject: Subject, variant: Variant) -> Variant:
    """AdaRound on the layers with the lowest SQNR."""
    reference = subject.model.graph
    walked = sweep(variant.model.graph, variant.plan, SCHEME, subject.samples, correct=False, reference=reference)
    worst = sorted(walked.quality, key=lambda layer: layer.sqnr_db)[:WORST]
    return adaround(
        variant.model,
        variant.plan,
        subject.samples,
        scheme=SCHEME,
        layers=[layer.name for layer in worst],
        reference=reference,
    )


def _powers_of_two(subject: Subject) -> Variant:
    variant = subject.nearest(Recipe())
    weights, layers = {}, dict(variant.plan.layers)
    for name, bits in weight_bits_of(subject.model.graph, FOUR_BITS).items():
        if bits == 4:
            path = layers[name].weight
            weight, scales = power_of_two_weight(get_tensor(subject.model.graph, path).numpy(), layers[name].axis)
            weights[path] = torch.from_numpy(weight)
            layers[name] = replace(layers[name], weight_scales=scales)
    model = with_weights(subject.model, weights)
    return Variant(model, replace(variant.plan, model_fingerprint=model.fingerprint, layers=layers))


def _subject(case: Case) -> Subject:
    crop = case.preprocess.crop
    assert crop is not None
    model = load_model(f"benchmarks.real_models:{case.name}", input_shape=(3, *crop.size))
    data = load_data(
        str(imagenet_1300()),
        preprocess=case.preprocess,
        input_shape=model.input.shape[1:],
        cache=cache_folder() / "stages" / "images",
        calibration=CALIBRATION,
    )
    assert data.evaluation.labels is not None
    samples, held_out = (list(batches(part, BATCH)) for part in (data.calibration, data.evaluation))
    with torch.no_grad():
        floats = np.concatenate([model.graph(torch.from_numpy(batch)).numpy() for batch in held_out])
    start = time.perf_counter()
    statistics = calibrate(model.graph, samples, place(model.graph).tensors)
    seconds = time.perf_counter() - start
    return Subject(model, samples, held_out, data.evaluation.labels, floats, statistics, seconds)


def _row(model: str, subject: Subject, method: str, build: Callable[[], Variant]) -> Row:
    start = time.perf_counter()
    variant = build()
    seconds = subject.calibrating + time.perf_counter() - start
    outputs = simulate(variant.model, variant.plan, SCHEME, subject.held_out)
    accuracy = evaluate(outputs, subject.floats, subject.labels)
    return {
        "model": model,
        "method": method,
        "tool": "pocketfit",
        "drop_points": accuracy.drop_points,
        "agreement": accuracy.agreement,
        "seconds": seconds,
        "sqnr_db": compare(outputs, subject.floats).sqnr_db,
        "samples": accuracy.samples,
    }
