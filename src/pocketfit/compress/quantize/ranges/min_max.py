"""The whole range that was seen: nothing is clipped, and a single outlier costs every other value its resolution.

Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", section 3.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pocketfit.compress.quantize.formulas import symmetric_parameters
from pocketfit.compress.quantize.ranges.parameters import affine_from_range, largest_integer, largest_magnitude

if TYPE_CHECKING:
    from pocketfit.compress.quantize.statistics import TensorStatistics

__all__ = ["MinMax"]


class MinMax:
    """From the smallest to the largest value."""

    def affine(self, statistics: TensorStatistics) -> tuple[float, int]:
        """Scale and zero point of the range seen."""
        return affine_from_range(statistics.minimum, statistics.maximum)

    def symmetric(self, statistics: TensorStatistics, bits: int = 8) -> float:
        """Scale of the largest magnitude seen."""
        return symmetric_parameters(largest_magnitude(statistics), largest_integer(bits))
