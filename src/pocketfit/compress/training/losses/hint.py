"""FitNets' hints: a layer in the middle of the student learns to give what one of the teacher gives."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["Hint"]


class Hint(nn.Module):
    """Mean squared difference, relative to the teacher's mean square, behind a convolution that matches the channels.

    The convolution learns together with the student and is thrown away with the teacher.

    Args:
        channels: of the student's features.
        teacher_channels: of the teacher's.

    Source: Romero et al., "FitNets: Hints for Thin Deep Nets", 2015, equation 3.
    """

    def __init__(self, channels: int, teacher_channels: int) -> None:
        super().__init__()
        self.match = nn.Conv2d(channels, teacher_channels, 1, bias=False)

    def forward(self, student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        """A number from features N×C×H×W and N×C'×H'×W'; the larger ones are averaged down to the other's size."""
        student, teacher = same_size(self.match(student), teacher)
        return (student - teacher).square().mean() / teacher.square().mean().clamp_min(torch.finfo(torch.float32).tiny)


def same_size(one: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both in the smaller of their sizes, N×C×H×W."""
    size = (min(one.shape[2], other.shape[2]), min(one.shape[3], other.shape[3]))
    averaged = (nn.functional.adaptive_avg_pool2d(x, size) if x.shape[2:] != size else x for x in (one, other))
    first, second = averaged
    return first, second
