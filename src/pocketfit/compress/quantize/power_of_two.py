"""Logarithmic quantization of weights: zero and ± powers of two, as ordinary INT8 integers.

A weight becomes one of the fifteen levels {0, ±1, ±2, ±4, …, ±64} times its channel's scale: a 4-bit code, and a
multiplication that is a shift where hardware has one. The levels are integers of the symmetric INT8 grid with that
scale, so the weights deploy as they are in every runtime; only those that know the code gain by it.

Levels are denser near zero, where most weights are. A weight goes to the level nearest in value: rounding the exponent
puts the border between 2^k and 2^(k+1) at their geometric mean, 1.41·2^k, instead of their middle, 1.5·2^k, and loses
more by squared error.

Source: Miyashita et al. 2016, "Convolutional Neural Networks using Logarithmic Data Representation" (arXiv 1603.01025),
`LogQuant`, for weights as clipped powers of two of a full-scale range; Zhou et al. 2017, "Incremental Network
Quantization" (arXiv 1702.03044), eq. 1-4, for levels with zero among them, the largest level
`2^floor(log2(4·max|W| / 3))` and rounding by value. Here, unlike there, the scale is no power of two but the one with
the smallest squared error per channel, and every code that is left of the sixteen is a level.
"""

from __future__ import annotations

import numpy as np

from pocketfit.compress.quantize.formulas import SMALLEST_SCALE
from pocketfit.compress.quantize.ranges.rows import as_rows, best_row_scales

__all__ = ["LARGEST_LEVEL", "power_of_two_weight"]

LARGEST_LEVEL = 64
_LARGEST_EXPONENT = 6
# Share of the largest weight that the largest level stands for. Above 4/3 it would go unused; below 1/2 more is clipped
# than is gained. At the first, 1, the largest weight is exact. Twice as many gain 0.02 dB on MobileNetV2.
_SHARES = np.concatenate([[1.0], np.geomspace(4 / 3, 0.5, 20)])


def power_of_two_weight(weight: np.ndarray, axis: int) -> tuple[np.ndarray, tuple[float, ...]]:
    """The weight with every value at 0 or ±2^0..2^6 times the scale of its channel, and these scales.

    Args:
        weight: float32 weight of any shape.
        axis: output-channel axis.

    Returns:
        The weight on its levels, float32 and of the same shape, and a positive scale (a float32 value) per channel, for
        which `weight / scale` is exactly an integer of the symmetric INT8 grid.
    """
    rows = as_rows(weight, axis)
    best = best_row_scales(rows, _candidates(rows), _nearest_level)
    # A float32 scale times a power of two is a float32 without rounding.
    on_levels = _nearest_level(rows / best[:, None]) * best[:, None]
    shape = np.moveaxis(weight, axis, 0).shape
    restored = np.ascontiguousarray(np.moveaxis(on_levels.reshape(shape), 0, axis), dtype=np.float32)
    return restored, tuple(float(scale) for scale in best)


def _candidates(rows: np.ndarray) -> np.ndarray:
    """Scales to try, candidates × rows: shares of the largest weight, and the power of two of Zhou et al., eq. 2."""
    largest = np.maximum(np.abs(rows).max(1), SMALLEST_SCALE)
    power = np.exp2(np.floor(np.log2(4 * largest / 3)))
    tried = np.vstack([largest * _SHARES[:, None], power]) / LARGEST_LEVEL
    candidates: np.ndarray = np.maximum(tried, SMALLEST_SCALE).astype(np.float32).astype(np.float64)
    return candidates


def _nearest_level(values: np.ndarray) -> np.ndarray:
    """The level nearest to each multiple of the scale."""
    magnitudes = np.abs(values)
    # 2^k is nearest from 3/4·2^k to 3/2·2^k, and 4/3 of these is [2^k, 2^(k+1)): the exponent tells. Below 1 is only 0.
    exponents = np.frexp(magnitudes * (4 / 3))[1] - 1
    levels = np.ldexp(np.sign(values), np.clip(exponents, 0, _LARGEST_EXPONENT))
    return np.where(magnitudes > 0.5, levels, 0.0)
