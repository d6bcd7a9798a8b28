"""How a float model learns from another one."""

from __future__ import annotations

from dataclasses import dataclass

from pocketfit.compress.training.recipe import LoopRecipe

__all__ = ["DistillationRecipe"]


@dataclass(frozen=True)
class DistillationRecipe(LoopRecipe):
    """A training of float weights; the defaults suit a student with random weights as well as a pruned model.

    The rates are far above those of a plan, which is fitted already; a temperature of 4 and 0.7 for the teacher are
    usual.
    """

    epochs: int = 10
    batch: int = 64
    weight_rate: float = 1e-3
    bias_rate: float = 1e-3
    clip_norm: float = 5.0
    temperature: float = 4.0
    label_share: float = 0.3
