"""A moving average of the parameters: smoother than the last step, and often better.

Source: Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging"; the average over fewer steps
in the beginning is that of TensorFlow's `ExponentialMovingAverage`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

__all__ = ["MovingAverage"]


class MovingAverage:
    """Of parameters that are trained.

    Args:
        parameters: what is averaged.
        keep: the largest share of the average that a step keeps, 0..1; 0 follows the parameters.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], keep: float) -> None:
        self.parameters = parameters
        self.keep = keep
        self.values = [parameter.detach().clone() for parameter in parameters]

    def update(self, step: int) -> None:
        """Take in the parameters after a step, counted from 0."""
        keep = min(self.keep, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.values, [parameter.detach() for parameter in self.parameters], 1 - keep)

    def apply(self) -> None:
        """Put the average in the parameters' place."""
        for parameter, value in zip(self.parameters, self.values, strict=True):
            parameter.data.copy_(value)
