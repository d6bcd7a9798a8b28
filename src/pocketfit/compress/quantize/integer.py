"""A layer computed as integer kernels compute it, in torch.

Floating-point simulation of INT8 (multiply dequantized values, quantize again) rounds differently from integer
kernels once in some ten thousand values; each such step of one unit disturbs the roundings after it, and in a deep
network the two drift apart until they differ by as much as INT8 differs from float. Here the products and sums are
the integers themselves, exact in float64, and the result is requantized with the one float32 multiplication that ONNX
Runtime and XNNPACK use, rounding half to even.

Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", eq. 4-7, with a float32 multiplier instead of a fixed-point one.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

__all__ = ["integer_layer"]

# Sums of integers are exact in float32 up to here.
_EXACT = 2.0**24


def integer_layer(
    values: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    op: Callable[..., torch.Tensor],
    rest: tuple[object, ...],
    input_scale: float,
    weight_scales: torch.Tensor,
    output: tuple[float, int, int] | None,
) -> torch.Tensor:
    """One convolution or linear layer on INT8 values.

    Args:
        values: dequantized INT8 activations, float32.
        weight: INT8 weight as float32 integers, output channel first.
        bias: INT32 bias as float64 integers when `output` is given, float32 bias otherwise; one per output channel.
        op: `conv1d`, `conv2d` or `linear`, called as `op(values, weight, None, *rest)`.
        rest: stride, padding and so on.
        input_scale: scale of `values`.
        weight_scales: float32, one per output channel.
        output: scale of the result and the lowest and highest integer around its zero point; None where the kernel
            gives float32, as ncnn's does.

    Returns:
        float32; where `output` is given, dequantized INT8 values.
    """
    integers = (values * (1.0 / input_scale)).round_()
    exact = _exact_type(weight, bias if output is not None else None)
    sums = op(integers.to(exact), weight.to(exact), None, *rest)
    per_channel = [1] * sums.ndim
    per_channel[1 if weight.ndim > 2 else -1] = -1
    multiplier = (torch.tensor(input_scale, dtype=torch.float32) * weight_scales).reshape(per_channel)
    if output is None:
        result = sums.float().mul_(multiplier)
        return result if bias is None else result.add_(bias.reshape(per_channel))
    scale, lowest, highest = output
    if bias is not None:
        sums.add_(bias.to(exact).reshape(per_channel))
    scaled = sums.float().mul_(multiplier / torch.tensor(scale, dtype=torch.float32))
    return scaled.round_().clamp_(lowest, highest).mul_(scale)


def _exact_type(weight: torch.Tensor, bias: torch.Tensor | None) -> torch.dtype:
    """Float32 where the largest sum that 8-bit inputs can reach is still exact in it, else float64."""
    largest = 255 * float(weight.abs().flatten(1).sum(1).max())
    if bias is not None:
        largest += float(bias.abs().max())
    return torch.float32 if largest < _EXACT else torch.float64
