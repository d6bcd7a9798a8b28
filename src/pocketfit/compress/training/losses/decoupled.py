"""DKD: whether it is this class, and which of the others else, weighed apart."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["Decoupled"]


class Decoupled(nn.Module):
    """Hinton's divergence taken apart: the labelled class's part, and the others', whose factor is a constant here.

    By itself that factor is the teacher's doubt: a confident teacher hides what it knows of the other classes.

    Args:
        target: weight of the part that is about the labelled class alone.
        others: weight of the part that is about all other classes; the paper has 1..10, larger for better teachers.
        temperature: above 0.

    Source: Zhao et al., "Decoupled Knowledge Distillation", 2022, equation 7: α TCKD + β NCKD.
    """

    def __init__(self, target: float = 1.0, others: float = 8.0, temperature: float = 4.0) -> None:
        super().__init__()
        self.target, self.others, self.temperature = target, others, temperature

    def forward(self, student: torch.Tensor, teacher: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """A number from logits N×C and N×C and N class indices; the teacher's own answers where None is known."""
        chosen = teacher.argmax(1) if labels is None else torch.where(labels < 0, teacher.argmax(1), labels)
        mask = nn.functional.one_hot(chosen, student.shape[1]).bool()
        log_student, log_teacher = ((logits / self.temperature).log_softmax(1) for logits in (student, teacher))
        target = _divergence(_of_target(log_student, mask), _of_target(log_teacher, mask))
        others = _divergence(_of_others(student, mask, self.temperature), _of_others(teacher, mask, self.temperature))
        return (self.target * target + self.others * others) * self.temperature**2


def _of_target(logs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Logarithms N×2 of the probability of the labelled class and of all others together."""
    labelled = logs[mask][:, None]
    rest = logs.masked_fill(mask, -torch.inf).logsumexp(1, keepdim=True)
    return torch.cat([labelled, rest], 1)


def _of_others(logits: torch.Tensor, mask: torch.Tensor, temperature: float) -> torch.Tensor:
    """Logarithms N×(C-1) of the probabilities of the others, given that it is one of them."""
    rest = logits[~mask].reshape(len(logits), -1)
    return (rest / temperature).log_softmax(1)


def _divergence(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    pointwise: torch.Tensor = teacher.exp() * (teacher - student)
    return pointwise.sum(1).mean()
