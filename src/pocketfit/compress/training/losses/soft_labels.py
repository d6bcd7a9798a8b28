"""Soft labels: the teacher's distribution over all classes tells more than the right class does."""

from __future__ import annotations

import torch
from torch import nn

from pocketfit.errors import OptionError

__all__ = ["SoftLabels", "divergence"]

# Of a class index: not labelled.
UNKNOWN = -1


class SoftLabels(nn.Module):
    """The labels' cross-entropy and the divergence from the teacher, each with its share.

    Args:
        temperature: above 0; divides the logits, so that the small probabilities count, too.
        teacher_share: 0..1, of the divergence; what is left is the labels'. 0.7 is usual; 0.3 suits a weak teacher.

    Raises:
        OptionError: a value outside of its range.

    Source: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015, section 2: gradients of soft
        targets shrink with the square of the temperature, which the divergence is multiplied by.
    """

    def __init__(self, temperature: float = 4.0, teacher_share: float = 0.7) -> None:
        super().__init__()
        if temperature <= 0:
            raise OptionError(f"a temperature of {temperature:g} is not above 0. 1 to 10 are usual.")
        if not 0 <= teacher_share <= 1:
            raise OptionError(f"a share of {teacher_share:g} for the teacher is not in 0..1. Give 0.7 or 0.3.")
        self.temperature, self.teacher_share = temperature, teacher_share

    def forward(self, student: torch.Tensor, teacher: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """A number from logits N×C and N×C and, where they are known, N class indices; -1 for an unknown one."""
        soft = divergence(student, teacher, self.temperature)
        if labels is None or not bool((labels != UNKNOWN).any()):
            return soft
        hard = nn.functional.cross_entropy(student, labels, ignore_index=UNKNOWN)
        return self.teacher_share * soft + (1 - self.teacher_share) * hard


def divergence(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """Kullback-Leibler divergence of the softened distributions along axis 1, mean over all others, times T²."""
    log_student, log_teacher = ((logits / temperature).log_softmax(1) for logits in (student, teacher))
    pointwise: torch.Tensor = log_teacher.exp() * (log_teacher - log_student)
    return pointwise.sum(1).mean() * temperature**2
