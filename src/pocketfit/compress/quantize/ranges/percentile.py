"""The range without a fixed share of the values at its ends, read from the histogram.

Source: percentile calibration, Wu et al. 2020, "Integer Quantization for Deep Learning Inference: Principles and
Empirical Evaluation" (arXiv 2004.09602), where calibration is described; there on magnitudes only, here for an affine
range on each tail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pocketfit.compress.quantize.formulas import symmetric_parameters
from pocketfit.compress.quantize.ranges.parameters import affine_from_range, largest_integer, largest_magnitude

if TYPE_CHECKING:
    from pocketfit.compress.quantize.statistics import TensorStatistics

__all__ = ["Percentile"]


@dataclass(frozen=True)
class Percentile:
    """The smallest range, to a bin of the histogram, that holds that share of the values.

    Args:
        percent: of the values that stay within an end of the range, above 0 and up to 100. An affine range loses the
            rest at each end; a symmetric one loses it once, among the largest magnitudes.
    """

    percent: float = 99.99

    def affine(self, statistics: TensorStatistics) -> tuple[float, int]:
        """Scale and zero point of the range without the tails."""
        edges = _edges(statistics)
        high = self._end(edges[1:], statistics.histogram)
        low = -self._end(-edges[:-1], statistics.histogram)
        return affine_from_range(max(low, statistics.minimum), min(high, statistics.maximum))

    def symmetric(self, statistics: TensorStatistics, bits: int = 8) -> float:
        """Scale of the largest magnitude that is not of the tail."""
        edges = np.abs(_edges(statistics))
        largest = self._end(np.maximum(edges[:-1], edges[1:]), statistics.histogram)
        return symmetric_parameters(min(largest, largest_magnitude(statistics)), largest_integer(bits))

    def _end(self, outer: np.ndarray, counts: np.ndarray) -> float:
        """Smallest outer edge that leaves no more than the tail beyond it."""
        order = np.argsort(outer)
        held = np.cumsum(counts[order])
        # A whole number of values, so that a tensor with fewer than one value in the tail loses none.
        tail = int(held[-1] * (100 - self.percent) / 100)
        return float(outer[order][np.searchsorted(held, held[-1] - tail)])


def _edges(statistics: TensorStatistics) -> np.ndarray:
    edges: np.ndarray = (statistics.first + np.arange(len(statistics.histogram) + 1)) * statistics.width
    return edges
