"""Learned step size: fake quantization with a gradient for the scale.

With `v` the value, `s` the scale, `z` the zero point and integers `low … high`,

    q = clip(round(v / s) + z, low, high),   v̂ = (q − z) · s,

rounding passes gradients through, and everything else is differentiated as it stands:

    ∂v̂/∂v = 1 inside the range, 0 where it is clipped
    ∂v̂/∂s = q − z − v / s inside, q − z where it is clipped
    ∂v̂/∂z = 0 inside, −s where it is clipped

The gradient of a scale is multiplied by 1 / √(N · high), N the number of values it quantizes.

A scale is kept as its start times the exponential of a parameter that begins at zero: it cannot become negative, and
one learning rate suits scales of every magnitude, because a step is relative. The start is the plan's scale.

Sources: Esser et al. 2020, "Learned Step Size Quantization", eq. 1-5 and section 2.2; zero point, Bhalgat et al. 2020,
"LSQ+: Improving low-bit quantization through learnable offsets and better initialization", section 3.1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

__all__ = ["ActivationQuantizer", "WeightQuantizer", "fake_quantize", "straight_through"]


class _FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        values: torch.Tensor,
        scale: torch.Tensor,
        zero_point: torch.Tensor | None,
        lowest: float,
        highest: float,
        gradient_scale: float,
    ) -> torch.Tensor:
        ctx.save_for_backward(values, scale)
        ctx.numbers = lowest, highest, gradient_scale
        return (values * scale.reciprocal()).round_().clamp_(lowest, highest).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (gradient,) = gradients
        values, scale = ctx.saved_tensors
        lowest, highest, gradient_scale = ctx.numbers
        ratio = values * scale.reciprocal()
        passed = gradient * (ratio.clamp(lowest, highest) == ratio)
        to_scale = to_zero_point = None
        if ctx.needs_input_grad[1]:
            slope = ratio.round().clamp_(lowest, highest).mul_(gradient).sub_(ratio.mul_(passed))
            to_scale = slope.sum_to_size(scale.shape) * gradient_scale
        if ctx.needs_input_grad[2]:
            to_zero_point = ((passed - gradient) * scale).sum() * gradient_scale
        return passed, to_scale, to_zero_point, None, None, None


def fake_quantize(
    values: torch.Tensor,
    scale: torch.Tensor,
    lowest: float,
    highest: float,
    gradient_scale: float,
    zero_point: torch.Tensor | None = None,
) -> torch.Tensor:
    """The values as they come back from integers, with the gradients of LSQ.

    Args:
        values: float of any shape; computed in float32 whatever precision they arrive in.
        scale: positive float32, of a shape that broadcasts to that of the values.
        lowest: smallest integer less the zero point.
        highest: largest integer less the zero point.
        gradient_scale: multiplies the gradients of scale and zero point.
        zero_point: without dimensions; takes the gradient, where it is trained.
    """
    result: torch.Tensor = _FakeQuantize.apply(  # type: ignore[no-untyped-call]
        values.float(), scale, zero_point, lowest, highest, gradient_scale
    )
    return result


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, rounded: torch.Tensor) -> torch.Tensor:
        return rounded.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradients[0], None


def straight_through(values: torch.Tensor, rounded: torch.Tensor) -> torch.Tensor:
    """`rounded`, whose gradient goes to `values` as if nothing had been rounded."""
    result: torch.Tensor = _StraightThrough.apply(values, rounded.detach())  # type: ignore[no-untyped-call]
    return result


class ActivationQuantizer(nn.Module):
    """Fake quantization of the tensors of one scale group.

    Args:
        scale: where the scale starts, positive.
        zero_point: where the zero point starts; an integer of the range.
        low: smallest integer.
        high: largest integer.
        fixed: whether scale and zero point stay as they are.
        learn_zero_point: whether the zero point is trained too; it is rounded on its way.
    """

    start: torch.Tensor

    def __init__(
        self, scale: float, zero_point: int, low: int, high: int, *, fixed: bool = False, learn_zero_point: bool = False
    ) -> None:
        super().__init__()
        self.low = low
        self.high = high
        self.start_zero_point = zero_point
        self.register_buffer("start", torch.tensor(scale))
        self.log_ratio = nn.Parameter(torch.zeros(()), requires_grad=not fixed)
        # In units of the whole range, so that it moves at the pace of a relative step of the scale.
        self.shift = nn.Parameter(torch.zeros(()), requires_grad=learn_zero_point and not fixed)

    def scale(self) -> torch.Tensor:
        """The scale now, float32 without dimensions."""
        return self.start * self.log_ratio.exp()

    def zero_point(self) -> int:
        """The zero point now."""
        if not self.shift.requires_grad:
            return self.start_zero_point  # without waiting for a GPU
        moved = self.start_zero_point + float(self.shift.detach()) * (self.high - self.low)
        return min(max(round(moved), self.low), self.high)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """The values, batch first, as they come back from integers."""
        gradient_scale = 1 / math.sqrt(max(values[0].numel(), 1) * self.high)
        zero_point = self.zero_point()
        learnt = self.shift * (self.high - self.low) if self.shift.requires_grad else None
        return fake_quantize(
            values, self.scale(), self.low - zero_point, self.high - zero_point, gradient_scale, learnt
        )


class WeightQuantizer(nn.Module):
    """Fake quantization of a weight, symmetric, with one scale per channel or one for all.

    Args:
        scales: where they start, positive, one per channel; if all are equal they stay so.
        axis: of the channels.
        dimensions: number of the weight's dimensions.
        limit: largest integer.
    """

    start: torch.Tensor

    def __init__(self, scales: Sequence[float], axis: int, dimensions: int, limit: int) -> None:
        super().__init__()
        self.channels = len(scales)
        self.limit = limit
        shape = [1] * dimensions
        kept = scales if len(set(scales)) > 1 else scales[:1]
        shape[axis] = len(kept)
        self.register_buffer("start", torch.tensor(kept, dtype=torch.float32).reshape(shape))
        self.log_ratio = nn.Parameter(torch.zeros(shape))

    def scale(self) -> torch.Tensor:
        """The scales now, float32, in a shape that broadcasts to the weight's."""
        return self.start * self.log_ratio.exp()

    def scales(self) -> tuple[float, ...]:
        """The scales now, one per channel."""
        return tuple(self.scale().detach().flatten().expand(self.channels).tolist())

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The weight as it comes back from integers."""
        scale = self.scale()
        gradient_scale = 1 / math.sqrt(weight.numel() / scale.numel() * self.limit)
        return fake_quantize(weight, scale, -self.limit, self.limit, gradient_scale)
