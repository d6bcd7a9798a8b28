"""Models of our own zoo."""

from __future__ import annotations

import difflib

from pocketfit.errors import ModelError
from pocketfit.models.source import Source
from pocketfit.models.zoo import IN_TIMM, MODELS

__all__ = ["from_zoo"]


def from_zoo(name: str) -> Source:
    """Build a model of the zoo with random weights; give trained ones as a file.

    Args:
        name: a key of `pocketfit.models.zoo.MODELS`, such as `shufflenet_v2_x1_0`.

    Raises:
        ModelError: the zoo has no such model.
    """
    if name not in MODELS:
        near = difflib.get_close_matches(name, MODELS, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"It has {', '.join(MODELS)}."
        raise ModelError(f"The zoo has no model {name!r}. {hint}\n{', '.join(IN_TIMM)} are timm's: give timm:NAME.")
    module = MODELS[name]()
    return Source(module, name, module.input_shape)  # type: ignore[arg-type]
