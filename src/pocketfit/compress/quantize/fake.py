"""Quantize-and-restore in float, with the very ops that `lower` writes into a graph."""

from __future__ import annotations

import torch
import torch.ao.quantization.fx._decomposed  # registers torch.ops.quantized_decomposed

from pocketfit.types import ActivationPlan, LayerPlan, Scheme

__all__ = ["fake_quantize_activation", "fake_quantize_dynamically", "fake_quantize_weight", "weight_limit"]


def weight_limit(layer: LayerPlan) -> int:
    """Largest integer of a symmetric weight: 127 with 8 bits, 7 with 4."""
    return (1 << (layer.weight_bits - 1)) - 1


def fake_quantize_activation(values: torch.Tensor, plan: ActivationPlan, scheme: Scheme) -> torch.Tensor:
    """The tensor as it comes back from 8 or 16 bits; any shape, float32."""
    if plan.bits == 16:
        return _fake_quantize(values, plan.scale, 0, -32767, 32767, torch.int16)
    if scheme is Scheme.SYMMETRIC:
        return _fake_quantize(values, plan.symmetric_scale, 0, -127, 127, torch.int8)
    return _fake_quantize(values, plan.scale, plan.zero_point, 0, 255, torch.uint8)


def fake_quantize_dynamically(values: torch.Tensor, scheme: Scheme) -> torch.Tensor:
    """Each sample as it comes back from INT8 with the range it has itself; batch first, float32."""
    axes = tuple(range(1, values.ndim))
    if scheme is Scheme.SYMMETRIC:
        scale = (values.abs().amax(axes, keepdim=True) / 127).clamp_min(torch.finfo(torch.float32).tiny)
        return (values / scale).round_().mul_(scale)
    low = values.amin(axes, keepdim=True).clamp_max(0)
    high = values.amax(axes, keepdim=True).clamp_min(0)
    scale = ((high - low) / 255).clamp_min(torch.finfo(torch.float32).tiny)
    zero_point = (-low / scale).round_()
    return ((values / scale).round_().add_(zero_point).clamp_(0, 255).sub_(zero_point)).mul_(scale)


def fake_quantize_weight(weight: torch.Tensor, plan: LayerPlan) -> torch.Tensor:
    """The weight as the plan stores it: integers with one scale per channel along `plan.axis`, or half."""
    if not plan.weight_scales:
        return weight.half().float()
    scales = torch.tensor(plan.weight_scales, dtype=torch.float32)
    limit = weight_limit(plan)
    arguments = (scales, torch.zeros(len(scales), dtype=torch.int64), plan.axis, -limit, limit, torch.int8)
    ops = torch.ops.quantized_decomposed
    restored: torch.Tensor = ops.dequantize_per_channel.default(
        ops.quantize_per_channel.default(weight, *arguments), *arguments
    )
    return restored


def _fake_quantize(
    values: torch.Tensor, scale: float, zero_point: int, low: int, high: int, dtype: torch.dtype
) -> torch.Tensor:
    arguments = (scale, zero_point, low, high, dtype)
    ops = torch.ops.quantized_decomposed
    integers = ops.quantize_per_tensor.default(values, *arguments)
    restored: torch.Tensor = ops.dequantize_per_tensor.default(integers, *arguments)
    return restored
