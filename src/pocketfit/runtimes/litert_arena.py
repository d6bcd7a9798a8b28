"""The memory that LiteRT's interpreter has laid out for activations."""

from __future__ import annotations

from typing import Any

from pocketfit.types import ActivationMemory

__all__ = ["arena_of"]


def arena_of(interpreter: Any) -> ActivationMemory:
    """From the first byte that an op writes to the last one, the input included; LiteRT has one arena for them all.

    Args:
        interpreter: with its tensors allocated and no delegate, which keeps its own memory to itself.
    """
    written = {index for op in interpreter._get_ops_details() for index in op["outputs"]}
    written |= {details["index"] for details in interpreter.get_input_details()}
    views = [interpreter.tensor(int(index))() for index in sorted(written)]
    starts = [view.__array_interface__["data"][0] for view in views]
    ends = [start + view.nbytes for start, view in zip(starts, views, strict=True)]
    how = "the arena of its own kernels; XNNPACK, which it runs by default, does not tell"
    return ActivationMemory(max(ends) - min(starts), how)
