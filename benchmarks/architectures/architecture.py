"""An architecture of the matrix: how to build it, and what it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Architecture"]


@dataclass(frozen=True)
class Architecture:
    """A network with random weights.

    Args:
        name: in the table.
        origin: "timm", "torchvision" or "zoo".
        input_shape: without the batch.
        build: makes the module; torch's generator is seeded before it is called.
        stands_for: what else the weights and the graph depend on; with name and shape it tells two versions apart.
    """

    name: str
    origin: str
    input_shape: tuple[int, ...]
    build: Callable[[], nn.Module]
    stands_for: str = ""
