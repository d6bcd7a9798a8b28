"""Symmetric scales of weights with the smallest mean squared error, and room for the bias they imply.

Source: Nagel et al. 2021, "A White Paper on Neural Network Quantization", section 3.1, on weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pocketfit.compress.quantize.formulas import SMALLEST_SCALE, quantize
from pocketfit.compress.quantize.ranges.parameters import largest_integer
from pocketfit.compress.quantize.ranges.rows import as_rows, best_row_scales

__all__ = ["room_for_bias", "weight_scales"]

# Shares of the largest weight, itself first. With eight bits half is as far as a better scale was ever found; with
# few integers a coarse step costs more than clipping does, and the best scale lies lower and matters more.
_EIGHT_BIT_SHARES = np.concatenate([[1.0], np.linspace(0.98, 0.5, 25)])
_FEW_BIT_SHARES = np.linspace(1.0, 0.3, 36)
# Half of what INT32 holds; the other half is left to the correction of the bias.
_LARGEST_BIAS = 2**30


def weight_scales(weight: np.ndarray, axis: int, *, bits: int = 8, per_tensor: bool = False) -> tuple[float, ...]:
    """Symmetric scale (a float32 value) per channel along `axis`, each with the smallest mean squared error.

    Args:
        weight: float32 weight of any shape.
        axis: output-channel axis.
        bits: of the integers, 2..8: ±127 for 8, ±7 for 4.
        per_tensor: whether all channels share one scale; it is then repeated.
    """
    end = largest_integer(bits)
    rows = as_rows(weight, axis)
    rows = rows.reshape(1, -1) if per_tensor else rows
    shares = _EIGHT_BIT_SHARES if bits == 8 else _FEW_BIT_SHARES
    candidates = np.maximum(np.abs(rows).max(1) * shares[:, None] / end, SMALLEST_SCALE)
    best = best_row_scales(rows, candidates, lambda values: quantize(values, 1.0, 0, -end, end))
    scales = tuple(float(scale) for scale in best.astype(np.float32))
    return scales * weight.shape[axis] if per_tensor else scales


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
