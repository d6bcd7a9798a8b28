"""How far the trained graph's answers are from the teacher's, and from the labels.

Source: Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", section 2: the softened distributions are
compared, the result is multiplied by the squared temperature, and the labels have a smaller share. Other distances
between two answers are in `losses`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import nn
from torch.fx import GraphModule

from pocketfit.compress.training.losses import Correlated, Decoupled, divergence
from pocketfit.compress.training.recipe import LoopRecipe, Loss
from pocketfit.errors import OptionError
from pocketfit.types import LoadedModel

__all__ = ["Criterion", "criterion"]


class Criterion(Protocol):
    """What a batch's answers cost."""

    def __call__(
        self, student: torch.Tensor, teacher: torch.Tensor, labels: torch.Tensor, growth: float = 1.0
    ) -> torch.Tensor:
        """A number from both outputs and labels, -1 for none; `growth` multiplies the teacher's part."""
        ...


# Student's outputs, teacher's outputs, labels → the teacher's part.
_Distance = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]

# A probability that is quantized may be zero, which has no logarithm.
_LEAST_PROBABILITY = 1e-4


def criterion(student: LoadedModel, teacher: LoadedModel, recipe: LoopRecipe, *, labelled: bool) -> Criterion:
    """The loss for this student.

    Args:
        student: what is trained; its output says which loss suits it, and whether it returns logits or probabilities.
            Several outputs are compared by their squared error.
        teacher: what it learns from.
        recipe: loss, temperature and the labels' share.
        labelled: whether the samples have labels; they count for outputs N × classes only.

    Raises:
        OptionError: the loss is one of classes, and the model has other outputs.
    """
    classifies = len(student.output.shape) == 2 and not student.more_outputs
    if recipe.loss.of_classes and not classifies:
        raise OptionError(
            f"{recipe.loss} compares answers to classes, which {student.name} does not give. "
            f"Train with the loss {Loss.AUTOMATIC} or {Loss.SQUARED_ERROR}."
        )
    of_student, of_teacher = (_reader(model, classifies) for model in (student, teacher))
    distance = _distance(recipe, classifies)
    share = recipe.label_share if labelled and classifies else 0.0

    def loss(student: torch.Tensor, teacher: torch.Tensor, labels: torch.Tensor, growth: float = 1.0) -> torch.Tensor:
        student, teacher = of_student(student.float()), of_teacher(teacher.float())
        if not share:
            return growth * distance(student, teacher, labels)
        hard = nn.functional.cross_entropy(student, labels, ignore_index=-1)
        return hard if share == 1 else (1 - share) * growth * distance(student, teacher, labels) + share * hard

    return loss


def _distance(recipe: LoopRecipe, classifies: bool) -> _Distance:
    """From the teacher's answers alone."""
    if recipe.loss is Loss.DKD:
        return Decoupled(temperature=recipe.temperature)
    if recipe.loss is Loss.DIST:
        return Correlated(temperature=recipe.temperature)
    if recipe.loss is Loss.SOFT or (recipe.loss is Loss.AUTOMATIC and classifies):
        return lambda student, teacher, labels: divergence(student, teacher, recipe.temperature)
    return lambda student, teacher, labels: _error(student, teacher)


def _reader(model: LoadedModel, classifies: bool) -> Callable[[torch.Tensor], torch.Tensor]:
    """What turns the model's answers into logits, where they are about classes."""
    return _logarithm if classifies and _returns_probabilities(model.graph) else _as_it_is


def _error(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Squared error relative to the teacher's mean square: the same for outputs in 0..1 and in 0..255."""
    return (student - teacher).square().mean() / teacher.square().mean().clamp_min(torch.finfo(torch.float32).tiny)


def _returns_probabilities(graph: GraphModule) -> bool:
    (answer, *_) = graph.graph.output_node().all_input_nodes
    return answer.target is torch.ops.aten.softmax.int


def _logarithm(probabilities: torch.Tensor) -> torch.Tensor:
    return probabilities.clamp_min(_LEAST_PROBABILITY).log()


def _as_it_is(logits: torch.Tensor) -> torch.Tensor:
    return logits
