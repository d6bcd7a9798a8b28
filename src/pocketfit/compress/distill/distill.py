"""A float model trained to answer as another one does, and as the labels say where there are any.

A student with batch norms learns as the module it is, and is brought into canonical form afterwards; one whose batch
norms are folded, such as a pruned model, learns as its graph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from torch.fx import GraphModule

from pocketfit.compress.distill.pairing import automatic_pairs, named_pairs
from pocketfit.compress.distill.recipe import DistillationRecipe
from pocketfit.compress.distill.student import graph_student, module_student, parameters_of
from pocketfit.compress.training.loop import Learn, Lesson, Step, Student, content_of
from pocketfit.compress.training.loop import learn as learn_here
from pocketfit.compress.training.taps import layers_of_graph, layers_of_module, tap
from pocketfit.compress.training.transfer import Matched, Transfer
from pocketfit.models.canonical import canonicalise
from pocketfit.models.source import Source
from pocketfit.models.weights import with_weights
from pocketfit.store import key_of
from pocketfit.types import LoadedModel, Samples

__all__ = ["Distilled", "distill"]


@dataclass(frozen=True)
class Distilled:
    """What a distillation gives.

    Args:
        model: the student with what it has learnt, in canonical form.
        log: every step.
        matched: layers whose features were compared.
    """

    model: LoadedModel
    log: tuple[Step, ...]
    matched: tuple[Matched, ...] = ()


def distill(
    student: LoadedModel,
    teacher: LoadedModel,
    samples: Samples,
    recipe: DistillationRecipe,
    *,
    source: Source | None = None,
    answers: np.ndarray | None = None,
    teacher_samples: Samples | None = None,
    checkpoint: Path | None = None,
    progress: Callable[[Step], None] | None = None,
    learn: Learn = learn_here,
) -> Distilled:
    """Train all weights and biases of a float model.

    Args:
        student: what learns, in canonical form; left as it is.
        teacher: what it learns from; answers the same outputs.
        samples: to learn from, as the student takes them; without labels the teacher alone is followed.
        recipe: how.
        source: the module that the student was made of, with its batch norms; it is changed. None to train the graph.
        answers: the teacher's to all samples, where they are known; None to compute them as they are needed.
        teacher_samples: the same samples in the same order as the teacher takes them; None where it takes what the
            student takes. Not looked at where answers are known and no features are compared.
        checkpoint: file that is written now and then, and taken up if it is there; None for none.
        progress: told of each step.
        learn: where the training takes place.

    Raises:
        DataError: there are no samples, or a label is none of the model's classes.
        ModelError: student and teacher do not answer the same outputs.
        OptionError: the loss does not suit the outputs, the training diverges, or a layer cannot be matched.
        OutputError: the checkpoint cannot be written.
        RuntimeMissing: `accelerate` is not installed.
        WeightsError: the checkpoint cannot be read, or belongs to another training.
    """
    key = _key(student, teacher, samples, teacher_samples, recipe)
    # What torch.export wrote has its mode built in.
    trains_module = source is not None and not isinstance(source.module, GraphModule)
    if source is not None and trains_module:
        learner = module_student(source.module, student, recipe)
    else:
        learner = graph_student(student, recipe)
    learner, transfer = _matched(learner, teacher, recipe)
    lesson = Lesson(learner, teacher, samples, recipe, key, answers, teacher_samples, transfer)
    log = learn(lesson, checkpoint, progress)
    trained = _canonical(student, learner) if trains_module else with_weights(student, parameters_of(learner))
    return Distilled(trained, log, () if transfer is None else transfer.pairs)


def _matched(learner: Student, teacher: LoadedModel, recipe: DistillationRecipe) -> tuple[Student, Transfer | None]:
    """The student with its layers under watch, and what compares them with the teacher's."""
    if recipe.features is None:
        return learner, None
    network = learner.network
    layers = layers_of_graph(network) if isinstance(network, GraphModule) else layers_of_module(network, learner.model)
    theirs = layers_of_graph(teacher.graph)
    if recipe.match:
        pairs = named_pairs(recipe.match, learner.model, layers, teacher, theirs)
    else:
        pairs = automatic_pairs(learner.model, layers, teacher, theirs)
    names = [pair.student.name for pair in pairs]
    watched = tap(network, names) if isinstance(network, GraphModule) else names
    return replace(learner, layers=watched), Transfer(recipe.features, pairs, recipe.feature_weight, recipe.seed)


def _key(
    student: LoadedModel,
    teacher: LoadedModel,
    samples: Samples,
    teacher_samples: Samples | None,
    recipe: DistillationRecipe,
) -> str:
    """Identity of a training: of everything its result depends on."""
    return key_of(
        {
            "model": student.fingerprint,
            "teacher": teacher.fingerprint,
            "samples": content_of(samples),
            "teacher's samples": None if teacher_samples is None else content_of(teacher_samples),
            "labelled": samples.labels is not None,
            "recipe": asdict(recipe),
        }
    )


def _canonical(before: LoadedModel, learner: Student) -> LoadedModel:
    module = learner.network.cpu()
    return canonicalise(
        module, before.input_shape, name=before.name, source=before.source, preprocess=before.preprocess
    )
