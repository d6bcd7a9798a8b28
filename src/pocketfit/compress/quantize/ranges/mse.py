"""The range that loses least by mean squared error.

The error of a candidate range is the mean over the histogram of `(x - dequantize(quantize(x)))²`. Clipping a rare
outlier costs its square once; keeping it costs resolution for every other value. The search shrinks the observed
range end by end and keeps the cheapest. Where an activation alone reads the tensor, the error is taken behind it: what
a hard-swish sets to zero needs no range.

Source: Nagel et al. 2021, "A White Paper on Neural Network Quantization", section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pocketfit.compress.quantize.formulas import dequantize, quantize, symmetric_parameters
from pocketfit.compress.quantize.ranges.parameters import affine_from_range, largest_integer, largest_magnitude

if TYPE_CHECKING:
    from pocketfit.compress.quantize.readers import ReadThrough
    from pocketfit.compress.quantize.statistics import TensorStatistics

__all__ = ["MeanSquaredError", "mse_affine", "mse_symmetric"]

# Shrinking an end of the range below a fifth of what was seen has never won on a real tensor.
_SHRINK = np.linspace(0.2, 1.0, 65)


@dataclass(frozen=True)
class MeanSquaredError:
    """The range with the smallest mean squared error over the histogram; the default.

    Args:
        through: the activation that alone reads the tensor, if any.
    """

    through: ReadThrough | None = None

    def affine(self, statistics: TensorStatistics) -> tuple[float, int]:
        """Scale and zero point with the smallest error."""
        low, high = min(statistics.minimum, 0.0), max(statistics.maximum, 0.0)
        best = affine_from_range(low, high)
        best_error = self._error(statistics, *best, 0, 255)
        # Both ends together first, then each alone: three line searches instead of a grid over both.
        for shrink_low, shrink_high in ((True, True), (False, True), (True, False)):
            start_low, start_high = low, high
            for factor in _SHRINK:
                candidate_low = start_low * factor if shrink_low else start_low
                candidate_high = start_high * factor if shrink_high else start_high
                candidate = affine_from_range(candidate_low, candidate_high)
                error = self._error(statistics, *candidate, 0, 255)
                if error < best_error:
                    best, best_error, low, high = candidate, error, candidate_low, candidate_high
        return best

    def symmetric(self, statistics: TensorStatistics, bits: int = 8) -> float:
        """Scale with the smallest error."""
        largest, end = largest_magnitude(statistics), largest_integer(bits)
        scales = [symmetric_parameters(largest * float(factor), end) for factor in _SHRINK[::-1]]
        return min(scales, key=lambda scale: self._error(statistics, scale, 0, -end, end))

    def _error(self, statistics: TensorStatistics, scale: float, zero_point: int, low: int, high: int) -> float:
        centers = statistics.centers
        restored = dequantize(quantize(centers, scale, zero_point, low, high), scale, zero_point)
        error = centers - restored if self.through is None else self.through(centers) - self.through(restored)
        return float(np.dot(statistics.histogram, error**2))


mse_affine = MeanSquaredError().affine
mse_symmetric = MeanSquaredError().symmetric
