"""Keras layers as torch's own modules, so that the graph holds linear layers and batch-norms as such."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["use_torch_layers"]


def use_torch_layers(model: Any) -> None:
    """Let the layers that Keras writes out as arithmetic compute by a torch module that holds a copy of their weights.

    Args:
        model: on the torch backend, changed in place.
    """
    for layer in model._flatten_layers():
        build = _BUILDERS.get(type(layer).__name__)
        module = build(layer) if build is not None and layer.built else None
        if module is not None:
            # Keras tracks what is assigned to a layer; these two are torch's business.
            nn.Module.__setattr__(layer, "torch_module", module)
            object.__setattr__(layer, "call", _Call(module))


class _Call:
    """What Keras calls: it hands over whether it trains, and a mask, which inference has not.

    Args:
        module: with the layer's weights.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def __call__(self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None) -> Tensor:
        """The layer's output."""
        result: Tensor = self.module(inputs)
        return result


class _BatchNorm(nn.Module):
    """Over the second axis, by stored statistics.

    Args:
        layer: Keras's own.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__()
        mean = _numbers(layer.moving_mean)
        self.epsilon = float(layer.epsilon)
        self.weight = nn.Parameter(torch.ones_like(mean) if layer.gamma is None else _numbers(layer.gamma))
        self.bias = nn.Parameter(torch.zeros_like(mean) if layer.beta is None else _numbers(layer.beta))
        self.register_buffer("running_mean", mean)
        self.register_buffer("running_var", _numbers(layer.moving_variance))

    def forward(self, x: Tensor) -> Tensor:
        """The normalised tensor."""
        mean, variance = self.get_buffer("running_mean"), self.get_buffer("running_var")
        return F.batch_norm(x, mean, variance, self.weight, self.bias, False, 0.0, self.epsilon)


class _Dense(nn.Linear):
    """A linear layer and its activation.

    Args:
        layer: Keras's own.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__(layer.kernel.shape[0], layer.kernel.shape[1], bias=layer.use_bias)
        self.activation = layer.activation
        with torch.no_grad():
            self.weight.copy_(_numbers(layer.kernel).t())
            if layer.use_bias:
                self.bias.copy_(_numbers(layer.bias))

    def forward(self, input: Tensor) -> Tensor:
        """The layer's output."""
        result: Tensor = self.activation(super().forward(input))
        return result


def _batch_norm(layer: Any) -> nn.Module | None:
    return _BatchNorm(layer) if layer.axis == 1 or layer.input_spec.ndim == 2 else None


_BUILDERS: Mapping[str, Callable[[Any], nn.Module | None]] = {"BatchNormalization": _batch_norm, "Dense": _Dense}


def _numbers(variable: Any) -> Tensor:
    tensor: Tensor = variable.value
    return tensor.detach().cpu().clone()
