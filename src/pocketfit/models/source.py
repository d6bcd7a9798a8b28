"""What the loaders of this room have in common: a module and what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from pocketfit.contract import Contract

__all__ = ["Source", "channels_first"]


@dataclass(frozen=True)
class Source:
    """A float module on its way to the canonical form.

    Args:
        module: takes one float32 tensor, returns one tensor.
        name: short name for tables and file names.
        input_shape: without the batch; None when the module does not say.
        preprocess: None when the module does not say.
    """

    module: nn.Module
    name: str
    input_shape: tuple[int, ...] | None = None
    preprocess: Contract | None = None


def channels_first(values: torch.Tensor) -> torch.Tensor:
    """N×H×W×C as N×C×H×W; what has no four axes is no image, and stays."""
    return values.permute(0, 3, 1, 2) if values.dim() == 4 else values
