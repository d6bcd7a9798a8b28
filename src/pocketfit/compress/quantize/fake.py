"""Quantize-and-restore in float, with the very ops that `lower` writes into a graph."""

from __future__ import annotations

import torch
import torch.ao.quantization.fx._decomposed  # registers torch.ops.quantized_decomposed

from pocketfit.types import ActivationPlan, LayerPlan, Scheme

__all__ = ["fake_quantize_activation", "fake_quantize_weight"]


def fake_quantize_activation(values: torch.Tensor, plan: ActivationPlan, scheme: Scheme) -> torch.Tensor:
    """The tensor as it comes back from INT8; any shape, float32."""
    if scheme is Scheme.SYMMETRIC:
        arguments = (plan.symmetric_scale, 0, -127, 127, torch.int8)
    else:
        arguments = (plan.scale, plan.zero_point, 0, 255, torch.uint8)
    ops = torch.ops.quantized_decomposed
    integers = ops.quantize_per_tensor.default(values, *arguments)
    restored: torch.Tensor = ops.dequantize_per_tensor.default(integers, *arguments)
    return restored


def fake_quantize_weight(weight: torch.Tensor, plan: LayerPlan) -> torch.Tensor:
    """The weight as it comes back from INT8, one scale per channel along `plan.axis`."""
    scales = torch.tensor(plan.weight_scales, dtype=torch.float32)
    arguments = (scales, torch.zeros(len(scales), dtype=torch.int64), plan.axis, -127, 127, torch.int8)
    ops = torch.ops.quantized_decomposed
    restored: torch.Tensor = ops.dequantize_per_channel.default(
        ops.quantize_per_channel.default(weight, *arguments), *arguments
    )
    return restored
