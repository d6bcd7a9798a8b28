"""A model's outputs under the names that a runtime's file gives them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pocketfit.types import LoadedModel, TensorSpec

__all__ = ["named_outputs"]


def named_outputs(model: LoadedModel, names: Iterable[str]) -> list[TensorSpec]:
    """The model's outputs, the first one first, as the file calls them.

    Args:
        model: whose outputs they are.
        names: in the file, in the order of the model's outputs.
    """
    return [replace(output, name=name) for output, name in zip(model.outputs, names, strict=True)]
