"""Attention transfer: the student learns where the teacher looks, whatever its channels are."""

from __future__ import annotations

import torch
from torch import nn

from pocketfit.compress.training.losses.hint import same_size

__all__ = ["AttentionTransfer"]


class AttentionTransfer(nn.Module):
    """Squared distance of the two maps of activity, each the mean square over the channels, of length 1.

    Source: Zagoruyko and Komodakis, "Paying More Attention to Attention", 2017, equation 2 with p = 2 and the sum of
        squares as the mapping.
    """

    def forward(self, student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        """A number from features N×C×H×W and N×C'×H'×W'; the larger ones are averaged down to the other's size."""
        one, other = (_map(features) for features in same_size(student, teacher))
        return (one - other).square().sum(1).mean()


def _map(features: torch.Tensor) -> torch.Tensor:
    return nn.functional.normalize(features.square().mean(1).flatten(1), dim=1)
