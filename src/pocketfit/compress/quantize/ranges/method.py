"""What a method of choosing an activation's range is asked, and the names users give to methods."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pocketfit.compress.quantize.statistics import TensorStatistics

__all__ = ["RangeMethod", "Ranges"]


class Ranges(StrEnum):
    """How the range of an activation is chosen from its statistics."""

    MIN_MAX = "min-max"
    PERCENTILE = "percentile"
    MSE = "mse"
    KL = "kl"


class RangeMethod(Protocol):
    """From the statistics of a tensor to its scale."""

    def affine(self, statistics: TensorStatistics) -> tuple[float, int]:
        """Scale (a float32 value, positive) and zero point 0..255."""
        ...

    def symmetric(self, statistics: TensorStatistics, bits: int = 8) -> float:
        """Scale (a float32 value, positive) for integers of that many bits: ±127 with 8."""
        ...
