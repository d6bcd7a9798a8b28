"""A model's inputs and outputs under the names that a runtime's file gives them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pocketfit.types import TensorSpec

__all__ = ["named"]


def named(specs: Iterable[TensorSpec], names: Iterable[str]) -> list[TensorSpec]:
    """The same tensors, in the same order, as the file calls them.

    Args:
        specs: the model's inputs, or its outputs.
        names: in the file, in their order.
    """
    return [replace(spec, name=name) for spec, name in zip(specs, names, strict=True)]
