"""The textbook formulas: a real number as an integer and back, and the scale and zero point of a range.

Everything rounds half to even, as the kernels of all runtimes do.

Source: affine quantization, Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", eq. 1, with the range of section 3.1 nudged so that zero is exact; symmetric
quantization, Nagel et al. 2021, "A White Paper on Neural Network Quantization", section 2.2.
"""

from __future__ import annotations

import numpy as np

__all__ = ["SMALLEST_SCALE", "affine_parameters", "dequantize", "quantize", "symmetric_parameters"]

# A bias has the product of two scales as its own: this is the smallest whose square float32 holds in full.
SMALLEST_SCALE = 2.0**-60


def quantize(x: np.ndarray | float, scale: np.ndarray | float, zero_point: int, low: int, high: int) -> np.ndarray:
    """Integers `clip(round(x / scale) + zero_point, low, high)`, as whole numbers of the float type of `x`.

    Args:
        x: real numbers of any shape.
        scale: positive; one, or an array that broadcasts against `x`.
        zero_point: the integer that stands for zero.
        low: smallest integer.
        high: largest integer.
    """
    integers: np.ndarray = np.clip(np.rint(x / scale) + zero_point, low, high)
    return integers


def dequantize(q: np.ndarray | int, scale: np.ndarray | float, zero_point: int) -> np.ndarray:
    """Real numbers `(q - zero_point) * scale` of integers; arguments as for `quantize`."""
    return np.asarray((q - zero_point) * scale)


def affine_parameters(low: float, high: float, quantized_low: int = 0, quantized_high: int = 255) -> tuple[float, int]:
    """Scale (a float32 value, positive) and zero point that spread a range over integers.

    The range is widened so that it holds zero, and zero is exactly representable: padding and ReLU depend on it.

    Args:
        low: smallest real number.
        high: largest real number.
        quantized_low: smallest integer.
        quantized_high: largest integer.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = _as_scale((high - low) / (quantized_high - quantized_low))
    return scale, int(np.clip(np.rint(quantized_low - low / scale), quantized_low, quantized_high))


def symmetric_parameters(largest: float, quantized_high: int = 127) -> float:
    """Scale (a float32 value, positive) at which `largest`, a magnitude, becomes `quantized_high`; zero point 0."""
    return _as_scale(largest / quantized_high)


def _as_scale(step: float) -> float:
    return float(np.float32(max(step, SMALLEST_SCALE)))
