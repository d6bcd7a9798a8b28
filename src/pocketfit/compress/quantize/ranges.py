"""From statistics to scales: the range that loses least by mean squared error.

The error of a candidate range is the mean over the histogram of `(x - dequantize(quantize(x)))²`. Clipping a rare
outlier costs its square once; keeping it costs resolution for every other value. The search shrinks the observed
range end by end and keeps the cheapest.

Source: range by mean squared error, Nagel et al. 2021, "A White Paper on Neural Network Quantization", section 3.1;
affine quantization, Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", eq. 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pocketfit.compress.quantize.statistics import TensorStatistics

__all__ = ["affine_from_range", "mse_affine", "mse_symmetric", "room_for_bias", "weight_scales"]

# Shrinking an end of the range below a fifth of what was seen has never won on a real tensor.
_SHRINK = np.linspace(0.2, 1.0, 65)
# A bias has the product of two scales as its own: this is the smallest whose square float32 holds in full.
_TINY = 2.0**-60
# Half of what INT32 holds; the other half is left to the correction of the bias.
_LARGEST_BIAS = 2**30


def affine_from_range(low: float, high: float) -> tuple[float, int]:
    """Scale (a float32 value) and zero point 0..255 of the range, widened so that zero is exactly representable."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32(max((high - low) / 255, _TINY)))
    return scale, int(np.clip(np.rint(-low / scale), 0, 255))


def mse_affine(statistics: TensorStatistics) -> tuple[float, int]:
    """Affine scale and zero point with the smallest mean squared error over the histogram."""
    low, high = min(statistics.minimum, 0.0), max(statistics.maximum, 0.0)
    best = affine_from_range(low, high)
    best_error = _affine_error(statistics, *best)
    # Both ends together first, then each alone: three line searches instead of a grid over both.
    for shrink_low, shrink_high in ((True, True), (False, True), (True, False)):
        start_low, start_high = low, high
        for factor in _SHRINK:
            candidate_low = start_low * factor if shrink_low else start_low
            candidate_high = start_high * factor if shrink_high else start_high
            candidate = affine_from_range(candidate_low, candidate_high)
            error = _affine_error(statistics, *candidate)
            if error < best_error:
                best, best_error, low, high = candidate, error, candidate_low, candidate_high
    return best


def mse_symmetric(statistics: TensorStatistics) -> float:
    """Symmetric scale for ±127 with the smallest mean squared error over the histogram."""
    largest = max(abs(statistics.minimum), abs(statistics.maximum))
    scales = [float(np.float32(max(largest * factor / 127, _TINY))) for factor in _SHRINK[::-1]]
    return min(scales, key=lambda scale: _symmetric_error(statistics, scale))


def weight_scales(weight: np.ndarray, axis: int) -> tuple[float, ...]:
    """Symmetric scale for ±127 per channel along `axis`, each with the smallest mean squared error.

    Args:
        weight: float32 weight of any shape.
        axis: output-channel axis.
    """
    rows = np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1).astype(np.float64)
    largest = np.abs(rows).max(1)
    best = np.maximum(largest / 127, _TINY)
    best_error = _row_errors(rows, best)
    # Weights have no long tails after training; half the range is as far as a better scale was ever found.
    for factor in np.linspace(0.98, 0.5, 25):
        scales = np.maximum(largest * factor / 127, _TINY)
        error = _row_errors(rows, scales)
        better = error < best_error
        best = np.where(better, scales, best)
        best_error = np.where(better, error, best_error)
    return tuple(float(scale) for scale in best.astype(np.float32))


def room_for_bias(scales: Sequence[float], bias: np.ndarray, input_scale: float) -> tuple[float, ...]:
    """The scales, raised where the bias would not fit into INT32.

    A channel of weights near zero, as training leaves many, has a tiny scale, and so has its bias: clipped to INT32 it
    would vanish, and with it all that such a channel says.

    Args:
        scales: of the weights, one per channel.
        bias: float32, one per channel.
        input_scale: of the layer's input.
    """
    least = np.abs(bias.astype(np.float64)) / (input_scale * _LARGEST_BIAS)
    return tuple(float(scale) for scale in np.maximum(scales, least).astype(np.float32))


def _affine_error(statistics: TensorStatistics, scale: float, zero_point: int) -> float:
    centers = statistics.centers
    restored = (np.clip(np.rint(centers / scale) + zero_point, 0, 255) - zero_point) * scale
    return float(np.dot(statistics.histogram, (centers - restored) ** 2))


def _symmetric_error(statistics: TensorStatistics, scale: float) -> float:
    centers = statistics.centers
    restored = np.clip(np.rint(centers / scale), -127, 127) * scale
    return float(np.dot(statistics.histogram, (centers - restored) ** 2))


def _row_errors(rows: np.ndarray, scales: np.ndarray) -> np.ndarray:
    restored = np.clip(np.rint(rows / scales[:, None]), -127, 127) * scales[:, None]
    errors: np.ndarray = ((rows - restored) ** 2).sum(1)
    return errors
