"""What the loaders of this room have in common: a module and what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from pocketfit.contract import Contract
from pocketfit.errors import OptionError
from pocketfit.rows import spelled
from pocketfit.types import InputShape

__all__ = ["Source", "channels_first", "channels_last", "only_shape", "shapes_of"]


@dataclass(frozen=True)
class Source:
    """A float module on its way to the canonical form.

    Args:
        module: takes float32 tensors, returns one or several.
        name: short name for tables and file names.
        input_shape: without the batch, one for each of several inputs; None when the module does not say.
        preprocess: None when the module does not say.
    """

    module: nn.Module
    name: str
    input_shape: InputShape | None = None
    preprocess: Contract | None = None


def shapes_of(input_shape: InputShape) -> tuple[tuple[int, ...], ...]:
    """A shape for each input, however few."""
    several = any(isinstance(size, tuple) for size in input_shape)
    return input_shape if several else (input_shape,)  # type: ignore[return-value]


def only_shape(input_shape: InputShape, who: str) -> tuple[int, ...]:
    """The shape, where there is one.

    Args:
        input_shape: without the batch.
        who: begins the message: what takes no model with several inputs.

    Raises:
        OptionError: there are several.
    """
    first, *more = shapes_of(input_shape)
    if more:
        raise OptionError(f"{who} models of one input; this one has {len(more) + 1}: {spelled((first, *more))}.")
    return first


def channels_first(values: torch.Tensor) -> torch.Tensor:
    """N×H×W×C as N×C×H×W; what has no four axes is no image, and stays."""
    return values.permute(0, 3, 1, 2) if values.dim() == 4 else values


def channels_last(values: torch.Tensor) -> torch.Tensor:
    """N×C×H×W as N×H×W×C; what has no four axes is no image, and stays."""
    return values.permute(0, 2, 3, 1) if values.dim() == 4 else values
