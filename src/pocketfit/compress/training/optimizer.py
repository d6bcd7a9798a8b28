"""The optimizer, with a learning rate of its own for each group of parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from pocketfit.compress.training.recipe import Optimizer

__all__ = ["Group", "build_optimizer", "set_rates"]


@dataclass(frozen=True)
class Group:
    """Parameters that learn at the same rate.

    Args:
        parameters: which; they may be none.
        peak: the largest learning rate they meet.
        weight_decay: share of itself that each loses with a learning rate of 1.
    """

    parameters: Sequence[nn.Parameter]
    peak: float
    weight_decay: float = 0.0


def build_optimizer(groups: Sequence[Group], optimizer: Optimizer) -> torch.optim.Optimizer:
    """For these groups; their rates are zero until `set_rates`."""
    settings = [
        {"params": list(group.parameters), "peak": group.peak, "weight_decay": group.weight_decay} for group in groups
    ]
    if optimizer is Optimizer.SGD:
        return torch.optim.SGD(settings, lr=0.0, momentum=0.9)
    return torch.optim.AdamW(settings, lr=0.0)


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Each group's peak rate times the factor, for the next step."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
