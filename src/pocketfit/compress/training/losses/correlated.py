"""DIST: the student need not answer the same numbers, only in the same relation to each other."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["Correlated"]


class Correlated(nn.Module):
    """One less Pearson's correlation of the softened probabilities: over the classes of a sample, and over the samples
    of a class.

    A large teacher's probabilities are sharper than a small student can make them; a correlation asks for their order
    and spacing alone.

    Args:
        across_classes: weight of the relation between the classes of each sample.
        across_samples: weight of the relation between the samples of each class; a batch of one has none.
        temperature: above 0.

    Source: Huang et al., "Knowledge Distillation from A Stronger Teacher", 2022, equations 8 to 10.
    """

    def __init__(self, across_classes: float = 2.0, across_samples: float = 2.0, temperature: float = 4.0) -> None:
        super().__init__()
        self.across_classes, self.across_samples, self.temperature = across_classes, across_samples, temperature

    def forward(self, student: torch.Tensor, teacher: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """A number from logits N×C and N×C; labels are not looked at."""
        one, other = ((logits / self.temperature).softmax(1) for logits in (student, teacher))
        loss = self.across_classes * _distance(one, other)
        if len(student) > 1:
            loss = loss + self.across_samples * _distance(one.T, other.T)
        return loss * self.temperature**2


def _distance(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """One less the mean correlation of the rows."""
    one, other = (rows - rows.mean(1, keepdim=True) for rows in (one, other))
    return 1 - nn.functional.cosine_similarity(one, other, dim=1).mean()
