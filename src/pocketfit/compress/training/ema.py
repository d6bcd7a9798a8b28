"""A moving average of what is trained: smoother than the last step, and often better.

Source: Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging"; the average over fewer steps
in the beginning is that of TensorFlow's `ExponentialMovingAverage`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["MovingAverage"]


class MovingAverage:
    """Of parameters, and of the statistics that change with them.

    Args:
        tensors: what is averaged.
        keep: the largest share of the average that a step keeps, 0..1; 0 follows the tensors.
    """

    def __init__(self, tensors: Sequence[torch.Tensor], keep: float) -> None:
        self.tensors = tensors
        self.keep = keep
        self.values = [tensor.detach().clone() for tensor in tensors]

    def update(self, step: int) -> None:
        """Take in the tensors after a step, counted from 0."""
        keep = min(self.keep, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.values, [tensor.detach() for tensor in self.tensors], 1 - keep)

    def apply(self) -> None:
        """Put the average in the tensors' place."""
        for tensor, value in zip(self.tensors, self.values, strict=True):
            tensor.data.copy_(value)
