"""Activation functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from pocketfit.models.onnx_ops.call import Call, Operator, Value

__all__ = ["TABLE"]

# Attributes are stored as 32-bit floats: 1/6 comes back a little off.
_CLOSE = 1e-6
_SELU = (1.6732632423543772, 1.0507009873554805)


def _unary(function: Callable[[Tensor], Tensor]) -> Operator:
    return lambda call: function(call.tensor(0))


def _elu(call: Call) -> Value:
    return F.elu(call.tensor(0), call.get("alpha", 1.0))


def _celu(call: Call) -> Value:
    return F.celu(call.tensor(0), call.get("alpha", 1.0))


def _selu(call: Call) -> Value:
    alpha, gamma = call.get("alpha", _SELU[0]), call.get("gamma", _SELU[1])
    if math.isclose(alpha, _SELU[0], rel_tol=_CLOSE) and math.isclose(gamma, _SELU[1], rel_tol=_CLOSE):
        return F.selu(call.tensor(0))
    return torch.mul(F.elu(call.tensor(0), alpha), gamma)


def _gelu(call: Call) -> Value:
    return F.gelu(call.tensor(0), approximate=call.get("approximate", "none"))


def _leaky_relu(call: Call) -> Value:
    return F.leaky_relu(call.tensor(0), call.get("alpha", 0.01))


def _thresholded_relu(call: Call) -> Value:
    x = call.tensor(0)
    return torch.where(x > call.get("alpha", 1.0), x, 0.0)


def _hard_sigmoid(call: Call) -> Value:
    alpha, beta = call.get("alpha", 0.2), call.get("beta", 0.5)
    if math.isclose(alpha, 1 / 6, rel_tol=_CLOSE) and beta == 0.5:
        return F.hardsigmoid(call.tensor(0))
    return torch.clamp(call.tensor(0) * alpha + beta, 0.0, 1.0)


def _swish(call: Call) -> Value:
    x, alpha = call.tensor(0), call.get("alpha", 1.0)
    return F.silu(x) if alpha == 1 else x * torch.sigmoid(x * alpha)


def _shrink(call: Call) -> Value:
    x, limit, bias = call.tensor(0), call.get("lambd", 0.5), call.get("bias", 0.0)
    return torch.where(x > limit, x - bias, torch.where(x < -limit, x + bias, 0.0))


def _prelu(call: Call) -> Value:
    x, slope = call.tensor(0), call.tensor(1)
    if slope.numel() == 1 or (x.dim() > 1 and _is_per_channel(slope, x)):
        return F.prelu(x, slope.reshape(-1))
    return F.relu(x) - slope * F.relu(-x)


def _is_per_channel(slope: Tensor, x: Tensor) -> bool:
    sizes = (1,) * (x.dim() - slope.dim()) + tuple(slope.shape)
    return slope.numel() == sizes[1] == x.shape[1]


def _softmax(function: Callable[[Tensor, int], Tensor]) -> Operator:
    """Before opset 13 all axes from the given one on are one."""

    def apply(call: Call) -> Value:
        x = call.tensor(0)
        axis = call.get("axis", -1 if call.opset >= 13 else 1)
        if call.opset >= 13 or axis in (-1, x.dim() - 1):
            return function(x, axis)
        return function(x.flatten(axis), -1).reshape(x.shape)

    return apply


def _hard_max(x: Tensor, axis: int) -> Tensor:
    return torch.zeros_like(x).scatter(axis, x.argmax(axis, keepdim=True), 1.0)


TABLE: Mapping[str, Operator] = {
    "Relu": _unary(F.relu),
    "Sigmoid": _unary(torch.sigmoid),
    "Tanh": _unary(torch.tanh),
    "Softplus": _unary(F.softplus),
    "Softsign": _unary(F.softsign),
    "Mish": _unary(F.mish),
    "HardSwish": _unary(F.hardswish),
    "HardSigmoid": _hard_sigmoid,
    "Elu": _elu,
    "Celu": _celu,
    "Selu": _selu,
    "Gelu": _gelu,
    "LeakyRelu": _leaky_relu,
    "ThresholdedRelu": _thresholded_relu,
    "Swish": _swish,
    "Shrink": _shrink,
    "PRelu": _prelu,
    "Softmax": _softmax(torch.softmax),
    "LogSoftmax": _softmax(torch.log_softmax),
    "Hardmax": _softmax(_hard_max),
}
