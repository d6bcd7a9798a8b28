"""Quantization-aware training: a plan's scales, biases and weights, learnt from the float model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from pocketfit.compress.quantize.plan import plan_to_json
from pocketfit.compress.quantize.qat.deploy import deploy
from pocketfit.compress.quantize.qat.recipe import TrainingRecipe, Trains
from pocketfit.compress.quantize.qat.trainable import Trainable, make_trainable
from pocketfit.compress.training.loop import Learn, Lesson, Step, Student, check_samples, content_of
from pocketfit.compress.training.loop import learn as learn_here
from pocketfit.compress.training.optimizer import Group
from pocketfit.errors import OptionError
from pocketfit.store import key_of
from pocketfit.types import LoadedModel, Precision, Samples, Scheme, Variant

__all__ = ["Trained", "train"]


@dataclass(frozen=True)
class Trained:
    """What a training gives.

    Args:
        variant: model and plan with trained numbers, ready to be deployed like any other.
        log: every step.
    """

    variant: Variant
    log: tuple[Step, ...]


def train(
    variant: Variant,
    samples: Samples,
    recipe: TrainingRecipe,
    *,
    scheme: Scheme = Scheme.AFFINE,
    teacher: LoadedModel | None = None,
    checkpoint: Path | None = None,
    progress: Callable[[Step], None] | None = None,
    learn: Learn = learn_here,
) -> Trained:
    """Train a plan to answer as the float model does, and as the labels say where there are any.

    Started by `accelerate launch` with several processes, every one of them calls this and gets the same result.

    Args:
        variant: a model and an INT8 plan for it.
        samples: to learn from; without labels the float model alone is followed.
        recipe: how.
        scheme: which of the plan's activation scales are trained; the other's stay.
        teacher: the float model to follow; None for the variant's own, which is right unless its weights are rounded.
        checkpoint: file that is written every `recipe.checkpoint_steps` steps and at the end, and taken up if it is
            there; None for none.
        progress: told of each step, after its checkpoint; in the main process only.
        learn: where the training takes place.

    Raises:
        DataError: there are no samples, or a label is none of the model's classes.
        OptionError: the plan is not INT8, the batch cannot be dealt out to the processes, or the training diverges.
        OutputError: the checkpoint cannot be written.
        RuntimeMissing: `accelerate` is not installed.
        WeightsError: the checkpoint cannot be read, or belongs to another training.
    """
    _check(variant, samples)
    teacher = teacher or variant.model
    trainable = make_trainable(variant.model.graph, variant.plan, scheme, learn_zero_points=recipe.learn_zero_points)
    student = Student(variant.model, trainable.graph, _groups(trainable, recipe))
    key = _key(variant, teacher, samples, recipe, scheme)
    log = learn(Lesson(student, teacher, samples, recipe, key), checkpoint, progress)
    batch = min(recipe.batch, len(samples.inputs))
    note = f"Trained ({scheme}, {recipe.trains}): {len(log)} steps of {batch} samples."
    return Trained(deploy(variant, scheme, trainable, recipe.trains, note), log)


def _check(variant: Variant, samples: Samples) -> None:
    precision = variant.plan.precision
    if precision is not Precision.INT8:
        raise OptionError(f"a {precision} plan has no scales to train. Train an int8 plan.")
    check_samples(variant.model, samples)


def _groups(trainable: Trainable, recipe: TrainingRecipe) -> list[Group]:
    """What the recipe trains; weights and their scales stop asking for gradients where it leaves them alone."""
    everything = recipe.trains is Trains.EVERYTHING
    for weight in trainable.weights.values():
        weight.requires_grad_(everything)
    for quantizer in trainable.weight_scales.values():
        quantizer.requires_grad_(everything)
    groups = [
        Group(list(trainable.biases.values()), recipe.bias_rate),
        Group(list(trainable.scales()), recipe.scale_rate),
    ]
    if everything:
        groups.append(Group(list(trainable.weights.values()), recipe.weight_rate, recipe.weight_decay))
    return groups


def _key(variant: Variant, teacher: LoadedModel, samples: Samples, recipe: TrainingRecipe, scheme: Scheme) -> str:
    """Identity of a training: of everything its result depends on."""
    parts = {
        "model": variant.model.fingerprint,
        "plan": plan_to_json(variant.plan),
        "teacher": teacher.fingerprint,
        "samples": content_of(samples),
        "labelled": samples.labels is not None,
        "recipe": asdict(recipe),
        "scheme": scheme,
    }
    return key_of(parts)
