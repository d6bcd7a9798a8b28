"""Weights and buffers of a graph by their attribute path, such as `features.0.weight`."""

from __future__ import annotations

import torch

__all__ = ["get_constant", "set_constant"]


def get_constant(module: torch.nn.Module, path: str) -> torch.Tensor:
    """The tensor at the path, detached."""
    owner, _, name = path.rpartition(".")
    value: torch.Tensor = getattr(module.get_submodule(owner), name)
    return value.detach()


def set_constant(module: torch.nn.Module, path: str, value: torch.Tensor) -> None:
    """Replace the parameter at the path."""
    owner, _, name = path.rpartition(".")
    setattr(module.get_submodule(owner), name, torch.nn.Parameter(value, requires_grad=False))
