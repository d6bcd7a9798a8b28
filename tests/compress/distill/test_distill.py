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
from pocketfit.compress.training.transfer import FeatureLoss
from pocketfit.data.digits import read_digits
from pocketfit.errors import DataError, ModelError, OptionError
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


@pytest.mark.parametrize("features", FeatureLoss)
@pytest.mark.parametrize("as_module", [True, False])
def test_features_alone_teach_where_to_look(
    teacher: LoadedModel, samples: Samples, features: FeatureLoss, as_module: bool
) -> None:
    """Without labels and with a teacher whose answers count for little, what is learnt comes from its layers."""
    recipe = replace(RECIPE, epochs=2, features=features, feature_weight=1e3, match=(("blocks", "blocks"),))
    source = student()
    model = canonical(source)
    found = distill(model, teacher, replace(samples, labels=None), recipe, source=source if as_module else None)
    assert [str(pair) for pair in found.matched] == ["blocks (16x4x4) with blocks (48x4x4)"]
    # A hint asks for every channel of the teacher's, with a convolution that begins at random: it takes longer.
    assert found.log[-1].loss < (0.5 if features is FeatureLoss.ATTENTION else 0.95) * found.log[0].loss
    # What compared them is thrown away.
    assert set(found.model.graph.state_dict()) == set(model.graph.state_dict())


def test_layers_are_paired_by_their_resolution(teacher: LoadedModel, samples: Samples) -> None:
    recipe = replace(RECIPE, epochs=1, features=FeatureLoss.ATTENTION)
    few = replace(samples, inputs=samples.inputs[:32], labels=samples.labels[:32])  # type: ignore[index]
    found = distill(canonical(student()), teacher, few, recipe)
    assert [(one.student.shape, one.teacher.shape) for one in found.matched] == [
        ((16, 8, 8), (48, 8, 8)),
        ((16, 4, 4), (48, 4, 4)),
    ]


def test_a_teacher_of_larger_images_sees_its_own(samples: Samples) -> None:
    """The same teacher with a first layer that shrinks images answers as before, and its layers match as before."""
    small = trained_digits_cnn()
    large = canonicalise(nn.Sequential(nn.AvgPool2d(2), copy.deepcopy(small)), (1, 16, 16), name="large")
    enlarged = replace(samples, inputs=samples.inputs.repeat(2, 2).repeat(2, 3), fingerprint="large digits")
    recipe = replace(RECIPE, epochs=1, batch=64, features=FeatureLoss.ATTENTION)
    model = canonical(student())
    one = distill(model, canonicalise(small, SHAPE, name="small"), samples, replace(recipe, match=(("stem", "stem"),)))
    pairs = (("stem", "1.stem"),)
    other = distill(model, large, samples, replace(recipe, match=pairs), teacher_samples=enlarged)
    np.testing.assert_allclose([step.loss for step in one.log], [step.loss for step in other.log], rtol=1e-3)
    # Resolutions are shares of the input: what is halved in the one is halved in the other.
    paired = distill(model, large, samples, recipe, teacher_samples=enlarged).matched
    assert [(one.student.shape[1:], one.teacher.shape[1:]) for one in paired] == [((4, 4), (8, 8))]
    with pytest.raises(DataError, match="the same ones"):
        distill(model, large, samples, recipe, teacher_samples=replace(enlarged, inputs=enlarged.inputs[:5]))


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        (("blocks.9", "blocks"), "the student student has no layer 'blocks.9'.*such as blocks"),
        (("blocks", "block.1.expnd"), "such as .*blocks.1.expand"),
        (("blocks", "classifier"), "the teacher teacher has no layer 'classifier'"),
    ],
)
def test_a_layer_that_is_not_there_is_refused(
    teacher: LoadedModel, samples: Samples, pair: tuple[str, str], said: str
) -> None:
    recipe = replace(RECIPE, features=FeatureLoss.HINT, match=(pair,))
    for source in (student(), None):
        with pytest.raises(OptionError, match=said):
            distill(canonical(student()), teacher, samples, recipe, source=source)


def test_networks_without_a_common_resolution_are_refused(teacher: LoadedModel, samples: Samples) -> None:
    flat = canonicalise(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), SHAPE, name="flat")
    with pytest.raises(OptionError, match="no layers of the same resolution"):
        distill(flat, teacher, samples, replace(RECIPE, features=FeatureLoss.ATTENTION))


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
