"""Students with batch norms, and graphs, that learn from a teacher."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from pocketfit.compress.distill import DistillationRecipe, distill
from pocketfit.compress.training.recipe import Loss
from pocketfit.data.digits import read_digits
from pocketfit.errors import ModelError, OptionError
from pocketfit.graph.running import run_graph
from pocketfit.models.canonical import canonicalise
from pocketfit.models.source import Source
from pocketfit.models.zoo.digits_cnn import DigitsCnn, trained_digits_cnn
from pocketfit.types import LoadedModel, Samples

pytest.importorskip("accelerate")

SHAPE = (1, 8, 8)
RECIPE = DistillationRecipe(epochs=4, batch=32, weight_rate=5e-3, bias_rate=5e-3, cpu=True)


@pytest.fixture(scope="module")
def teacher() -> LoadedModel:
    return canonicalise(trained_digits_cnn(), SHAPE, name="teacher")


@pytest.fixture(scope="module")
def samples() -> Samples:
    digits = read_digits()
    chosen = list(digits.training)
    return Samples(digits.inputs[chosen], digits.labels[chosen], None, fingerprint="training digits")


def student() -> Source:
    torch.manual_seed(0)
    return Source(DigitsCnn(width=8), "student", SHAPE)


def canonical(source: Source) -> LoadedModel:
    return canonicalise(copy.deepcopy(source.module), SHAPE, name=source.name)


def right(model: LoadedModel) -> float:
    digits = read_digits()
    held_out = list(digits.held_out)
    outputs = run_graph(model.graph, [digits.inputs[held_out]])
    return float((outputs.argmax(1) == digits.labels[held_out]).mean())


@pytest.mark.parametrize("loss", [Loss.SOFT, Loss.DKD, Loss.DIST])
def test_a_student_with_random_weights_learns(teacher: LoadedModel, samples: Samples, loss: Loss) -> None:
    source = student()
    before = canonical(source)
    found = distill(before, teacher, replace(samples, labels=None), replace(RECIPE, loss=loss), source=source)
    # One in ten by chance; it comes to nine in ten without a single label.
    assert right(before) < 0.4
    assert right(found.model) > 0.7
    assert found.log[-1].loss < found.log[0].loss


def test_known_answers_are_the_teachers(teacher: LoadedModel, samples: Samples) -> None:
    known = run_graph(teacher.graph, [samples.inputs])
    one, other = (
        distill(canonical(student()), teacher, samples, replace(RECIPE, epochs=1), source=student(), answers=a)
        for a in (known, None)
    )
    # Batches of another size add up in another order.
    np.testing.assert_allclose([step.loss for step in one.log], [step.loss for step in other.log], rtol=1e-3)


def test_a_step_in_parts_is_the_same_step(teacher: LoadedModel, samples: Samples) -> None:
    """Of a graph, whose batch norms are folded: in a module they would see smaller batches."""
    model = canonical(student())
    recipe = replace(RECIPE, epochs=1)
    whole, parts = (distill(model, teacher, samples, replace(recipe, accumulate=number)) for number in (1, 4))
    # Sums of a part are added in another order; AdamW divides by their size where they are small.
    np.testing.assert_allclose([step.loss for step in whole.log], [step.loss for step in parts.log], rtol=1e-2)


def test_what_cannot_be_compared_is_refused(teacher: LoadedModel, samples: Samples) -> None:
    other = canonicalise(nn.Sequential(nn.Flatten(), nn.Linear(64, 7)), SHAPE, name="seven")
    with pytest.raises(ModelError, match="1x7"):
        distill(other, teacher, samples, RECIPE)
    with pytest.raises(OptionError, match="in 8 parts"):
        distill(canonical(student()), teacher, samples, replace(RECIPE, batch=4, accumulate=8))


def test_a_loss_of_classes_needs_classes(samples: Samples) -> None:
    pictures = canonicalise(nn.Conv2d(1, 1, 3, padding=1), SHAPE, name="pictures")
    unlabelled = replace(samples, labels=None)
    with pytest.raises(OptionError, match="squared-error"):
        distill(pictures, pictures, unlabelled, replace(RECIPE, loss=Loss.DKD))
