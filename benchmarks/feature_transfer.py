"""A small student of digits that also learns from its teacher's layers, with and without the teacher's answers.

The teacher is the demo's network (99.0 % right), the student the same with a third of its channels and random weights.
It learns from 200 labelled digits and is judged on the 599 that nobody learns from. For one seed, samples, order, steps
and rates are the same in all rows.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import torch

from benchmarks.results import Row
from pocketfit.compress.distill import DistillationRecipe, distill
from pocketfit.compress.training.transfer import FeatureLoss
from pocketfit.data.digits import Digits, read_digits
from pocketfit.graph.running import run_graph
from pocketfit.models.canonical import canonicalise
from pocketfit.models.source import Source
from pocketfit.models.zoo.digits_cnn import DigitsCnn, trained_digits_cnn
from pocketfit.types import LoadedModel, Samples

SHAPE = DigitsCnn.input_shape
SAMPLES = 200
SEEDS = (0, 1, 2)
ANSWERS = {"labels": 1.0, "labels and soft labels": 0.3}
FEATURES = (None, FeatureLoss.ATTENTION, FeatureLoss.HINT)


def run() -> Iterator[Row]:
    """One row per seed and method."""
    digits = read_digits()
    teacher = canonicalise(trained_digits_cnn(), SHAPE, name="teacher")
    for seed in SEEDS:
        for answers, label_share in ANSWERS.items():
            for features in FEATURES:
                rates = {"weight_rate": 5e-3, "bias_rate": 5e-3}
                recipe = DistillationRecipe(
                    epochs=80, batch=20, label_share=label_share, features=features, seed=seed, cpu=True, **rates
                )
                learnt, pairs = _student(teacher, digits, recipe)
                yield {
                    "model": "digits_cnn, width 8",
                    "learns_from": answers if features is None else f"{answers}, {features}",
                    "seed": seed,
                    "percent": _percent(learnt, digits),
                    "teacher_percent": _percent(teacher, digits),
                    "pairs": pairs,
                }


def _student(teacher: LoadedModel, digits: Digits, recipe: DistillationRecipe) -> tuple[LoadedModel, str]:
    chosen = np.random.default_rng(recipe.seed).permutation(list(digits.training))[:SAMPLES]
    samples = Samples(digits.inputs[chosen], digits.labels[chosen], None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        module = DigitsCnn(width=8)
    model = canonicalise(copy.deepcopy(module), SHAPE, name="student")
    found = distill(model, teacher, samples, recipe, source=Source(module, "student", SHAPE))
    return found.model, ", ".join(map(str, found.matched))


def _percent(model: LoadedModel, digits: Digits) -> float:
    held_out = list(digits.held_out)
    outputs = run_graph(model.graph, [digits.inputs[held_out]])
    return 100 * float((outputs.argmax(1) == digits.labels[held_out]).mean())
