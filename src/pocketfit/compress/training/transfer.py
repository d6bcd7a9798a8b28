"""Features of a student's layers compared with those of a teacher's, beside their answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import nn

from pocketfit.compress.training.losses import AttentionTransfer, Hint
from pocketfit.compress.training.taps import Layer

__all__ = ["FeatureLoss", "Matched", "Transfer"]


class FeatureLoss(StrEnum):
    """ATTENTION compares where two layers are active; HINT what they give, behind a convolution that learns, too."""

    ATTENTION = "attention"
    HINT = "hint"


@dataclass(frozen=True)
class Matched:
    """Two layers that are compared."""

    student: Layer
    teacher: Layer

    def __str__(self) -> str:
        return f"{self.student} with {self.teacher}"


class Transfer(nn.Module):
    """The distances of all pairs, added up and weighed; convolutions in it are trained and thrown away.

    Args:
        kind: what is compared.
        pairs: at least one.
        weight: of the sum, beside the loss of the answers.
        seed: of the convolutions' first weights.
    """

    def __init__(self, kind: FeatureLoss, pairs: Sequence[Matched], weight: float, seed: int = 0) -> None:
        super().__init__()
        self.pairs, self.weight = tuple(pairs), weight
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.losses = nn.ModuleList(_loss(kind, one) for one in pairs)

    def forward(self, student: Sequence[torch.Tensor], teacher: Sequence[torch.Tensor]) -> torch.Tensor:
        """A number from features N×C×H×W of each pair's layers."""
        of_pairs = zip(self.losses, student, teacher, strict=True)
        return self.weight * torch.stack([loss(one.float(), other.float()) for loss, one, other in of_pairs]).sum()


def _loss(kind: FeatureLoss, pair: Matched) -> nn.Module:
    if kind is FeatureLoss.ATTENTION:
        return AttentionTransfer()
    return Hint(pair.student.shape[0], pair.teacher.shape[0])
