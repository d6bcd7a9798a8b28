"""Normalisations."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from pocketfit.models.onnx_ops.call import Call, Operator, Value

__all__ = ["TABLE"]


def _batch_norm(call: Call) -> Value:
    if call.get("training_mode", 0):
        call.refuse("it uses the statistics of the batch.", "Export the model in eval mode.")
    call.only_first_output()
    x, scale, shift, mean, variance = call.tensors()
    return F.batch_norm(x, mean, variance, scale, shift, False, 0.0, call.get("epsilon", 1e-5))


def _instance_norm(call: Call) -> Value:
    return F.instance_norm(call.tensor(0), weight=call.tensor(1), bias=call.tensor(2), eps=call.get("epsilon", 1e-5))


def _group_norm(call: Call) -> Value:
    """As opset 21 has it; that of opset 18 was withdrawn."""
    x, scale, shift = call.tensor(0), call.tensor(1), call.tensor(2)
    return F.group_norm(x, call.get("num_groups"), scale, shift, call.get("epsilon", 1e-5))


def _layer_norm(call: Call) -> tuple[Value, ...]:
    """Its further outputs, mean and inverse deviation, are computed where something reads them."""
    x = call.tensor(0)
    result = _layer_normalised(call, x)
    if not (call.wants(1) or call.wants(2)):
        return (result,)
    axes = tuple(range(_first_axis(call, x), x.dim()))
    variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    return result, mean, torch.rsqrt(variance + call.get("epsilon", 1e-5))


def _layer_normalised(call: Call, x: Tensor) -> Tensor:
    scale, shift = call.tensor(1), call.optional(2)
    sizes = x.shape[_first_axis(call, x) :]
    epsilon = call.get("epsilon", 1e-5)
    if scale.shape == sizes and (shift is None or shift.shape == sizes):
        return F.layer_norm(x, sizes, scale, shift, epsilon)
    scaled = F.layer_norm(x, sizes, eps=epsilon) * scale
    return scaled if shift is None else scaled + shift


def _rms_norm(call: Call) -> Value:
    x = call.tensor(0)
    axes = tuple(range(_first_axis(call, x), x.dim()))
    return x * torch.rsqrt(x.square().mean(axes, keepdim=True) + call.get("epsilon", 1e-5)) * call.tensor(1)


def _first_axis(call: Call, x: Tensor) -> int:
    axis: int = call.get("axis", -1)
    return axis % x.dim()


def _local_response_norm(call: Call) -> Value:
    x, size = call.tensor(0), call.get("size")
    before = (size - 1) // 2
    padded = F.pad(x.square(), [0, 0] * (x.dim() - 2) + [before, size - 1 - before])
    total = sum(padded.narrow(1, index, x.shape[1]) for index in range(size))
    scale = call.get("bias", 1.0) + total * (call.get("alpha", 1e-4) / size)
    return torch.div(x, scale ** call.get("beta", 0.75))


def _lp_norm(call: Call) -> Value:
    x, axis = call.tensor(0), call.get("axis", -1)
    return F.normalize(x, call.get("p", 2), axis)


def _mean_variance(call: Call) -> Value:
    x, axes = call.tensor(0), call.get("axes", [0, 2, 3])
    centred = x - x.mean(axes, keepdim=True)
    return centred / (centred.square().mean(axes, keepdim=True).sqrt() + 1e-9)


TABLE: Mapping[str, Operator] = {
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm,
    "GroupNormalization": _group_norm,
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _rms_norm,
    "LRN": _local_response_norm,
    "LpNormalization": _lp_norm,
    "MeanVarianceNormalization": _mean_variance,
}
