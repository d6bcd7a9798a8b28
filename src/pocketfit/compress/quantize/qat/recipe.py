"""How a plan is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from pocketfit.compress.training.recipe import LoopRecipe

__all__ = ["TrainingRecipe", "Trains"]


class Trains(StrEnum):
    """What is trained.

    PLAN: activation scales and biases, which a hundred unlabelled images suffice for. The model stays as it is and so
    do the numbers of the scheme that is not trained. EVERYTHING: also weights and their scales, which both schemes
    share.
    """

    PLAN = "plan"
    EVERYTHING = "everything"


@dataclass(frozen=True)
class TrainingRecipe(LoopRecipe):
    """How a plan is trained; the defaults suit a hundred unlabelled images.

    Args:
        trains: what is trained.
        scale_rate: peak learning rate of the scales; a step of AdamW changes a scale by that share of itself.
        learn_zero_points: whether affine zero points are trained too.

    Raises:
        OptionError: a number is out of its range.
    """

    trains: Trains = Trains.PLAN
    scale_rate: float = 1e-4
    learn_zero_points: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("scale_rate", 0, math.inf)
