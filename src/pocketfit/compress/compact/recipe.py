"""Which form layers are to be written in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from pocketfit.compress.compact.low_rank import factorise
from pocketfit.compress.compact.separable import separate
from pocketfit.compress.compact.slimmed import Slimmed
from pocketfit.types import LoadedModel

__all__ = ["CompactRecipe", "Form", "compact"]


class Form(StrEnum):
    """LOW_RANK: one layer as two thin ones. SEPARABLE: a convolution as a depthwise and a pointwise one."""

    LOW_RANK = "low-rank"
    SEPARABLE = "separable"


@dataclass(frozen=True)
class CompactRecipe:
    """How layers are written anew.

    Args:
        form: of the new layers.
        macs: share of the multiply-accumulates of convolutions and linear layers that may stay, of low rank alone.
        round_to: ranks are a multiple of this.
    """

    form: Form = Form.LOW_RANK
    macs: float = 0.5
    round_to: int = 8


def compact(model: LoadedModel, recipe: CompactRecipe, batches: Sequence[np.ndarray] = ()) -> Slimmed:
    """Write a model's layers in the form of the recipe; arguments and errors are `factorise`'s and `separate`'s."""
    if recipe.form is Form.SEPARABLE:
        return separate(model, batches)
    return factorise(model, recipe.macs, batches, round_to=recipe.round_to)
