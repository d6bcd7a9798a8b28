"""How far the trained graph's answers are from the teacher's, and from the labels.

Source: Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", section 2: the softened distributions are
compared, the result is multiplied by the squared temperature, and the labels have a smaller share.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.fx import GraphModule

from pocketfit.compress.training.losses.soft_labels import divergence
from pocketfit.compress.training.recipe import LoopRecipe, Loss
from pocketfit.types import LoadedModel

__all__ = ["Criterion", "criterion"]

# Student's outputs, teacher's outputs, labels (-1 for none) → loss.
Criterion = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]

# A probability that is quantized may be zero, which has no logarithm.
_LEAST_PROBABILITY = 1e-4


def criterion(model: LoadedModel, recipe: LoopRecipe, *, labelled: bool) -> Criterion:
    """The loss for this model.

    Args:
        model: what is trained; its output says which loss suits it, and whether it returns logits or probabilities.
            Several outputs are compared by their squared error.
        recipe: loss, temperature and the labels' share.
        labelled: whether the samples have labels; they count for outputs N × classes only.
    """
    classifies = len(model.output.shape) == 2 and not model.more_outputs
    to_logits = _logarithm if classifies and _returns_probabilities(model.graph) else _as_it_is
    diverges = recipe.loss is Loss.DIVERGENCE or (recipe.loss is Loss.AUTOMATIC and classifies)
    share = recipe.label_share if labelled and classifies else 0.0

    def loss(student: torch.Tensor, teacher: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        student, teacher = to_logits(student.float()), to_logits(teacher.float())
        distance = divergence(student, teacher, recipe.temperature) if diverges else _error(student, teacher)
        if not share:
            return distance
        return (1 - share) * distance + share * nn.functional.cross_entropy(student, labels, ignore_index=-1)

    return loss


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
