"""How a float model learns from another one."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pocketfit.compress.training.recipe import LoopRecipe
from pocketfit.compress.training.transfer import FeatureLoss
from pocketfit.errors import OptionError

__all__ = ["DistillationRecipe"]


@dataclass(frozen=True)
class DistillationRecipe(LoopRecipe):
    """A training of float weights; the defaults suit a student with random weights as well as a pruned model.

    The rates are far above those of a plan, which is fitted already; a temperature of 4 and 0.7 for the teacher are
    usual.

    Args:
        features: of layers, compared beside the answers; None for none.
        feature_weight: of their part, beside 1 for that of the answers.
        match: layers to compare, the student's before the teacher's; empty for the last layer of each resolution that
            both have. A module's are its submodules' paths; of a graph, nodes are layers, too.
    """

    epochs: int = 10
    batch: int = 64
    weight_rate: float = 1e-3
    bias_rate: float = 1e-3
    clip_norm: float = 5.0
    temperature: float = 4.0
    label_share: float = 0.3
    features: FeatureLoss | None = None
    feature_weight: float = 1.0
    match: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("feature_weight", 0, math.inf)
        if self.match and self.features is None:
            raise OptionError(
                "layers are matched, but features are not compared. Say by which loss: attention or hint."
            )
