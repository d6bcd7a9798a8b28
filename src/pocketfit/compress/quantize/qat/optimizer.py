"""The optimizer, with a learning rate of its own for weights, biases and scales."""

from __future__ import annotations

import torch

from pocketfit.compress.quantize.qat.recipe import Optimizer, TrainingRecipe, Trains
from pocketfit.compress.quantize.qat.trainable import Trainable

__all__ = ["build_optimizer", "set_rates"]


def build_optimizer(trainable: Trainable, recipe: TrainingRecipe) -> torch.optim.Optimizer:
    """For what the recipe trains; weights and their scales stop asking for gradients where it leaves them alone."""
    everything = recipe.trains is Trains.EVERYTHING
    for weight in trainable.weights.values():
        weight.requires_grad_(everything)
    for quantizer in trainable.weight_scales.values():
        quantizer.requires_grad_(everything)
    groups = [
        {"params": list(trainable.biases.values()), "peak": recipe.bias_rate, "weight_decay": 0.0},
        {"params": list(trainable.scales()), "peak": recipe.scale_rate, "weight_decay": 0.0},
    ]
    if everything:
        weights = list(trainable.weights.values())
        groups.append({"params": weights, "peak": recipe.weight_rate, "weight_decay": recipe.weight_decay})
    if recipe.optimizer is Optimizer.SGD:
        return torch.optim.SGD(groups, lr=0.0, momentum=0.9)
    return torch.optim.AdamW(groups, lr=0.0)


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Each group's peak rate times the factor, for the next step."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
