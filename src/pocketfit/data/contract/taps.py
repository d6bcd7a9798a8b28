"""Which input pixels make an output pixel along one axis, and with what integer weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pocketfit.contract.sizes import Kernel

__all__ = ["ANTIALIAS_BITS", "PLAIN_BITS", "Taps", "antialiased_taps", "area_taps", "nearest_taps", "plain_taps"]

# Weights are multiples of 2^-22 with antialias (8 bits of pixel and 2 of overshoot fill the rest of 32), and of 2^-11
# without, where both passes are multiplied before anything is rounded.
ANTIALIAS_BITS = 22
PLAIN_BITS = 11


@dataclass(frozen=True)
class Taps:
    """The weights of one axis.

    Args:
        index: int64 outputs×taps, input pixels; unused taps point anywhere and weigh 0.
        weight: int32 outputs×taps, in units of 2^-22, 2^-11 or, for nearest, 1.
    """

    index: np.ndarray
    weight: np.ndarray


def nearest_taps(inputs: int, outputs: int) -> Taps:
    """The one input pixel `floor((2i + 1) * inputs / (2 * outputs))`, in integers, with a weight of 1."""
    index = (2 * np.arange(outputs, dtype=np.int64) + 1) * inputs // (2 * outputs)
    return Taps(index[:, None], np.ones((outputs, 1), dtype=np.int32))


def antialiased_taps(inputs: int, outputs: int, kernel: Kernel) -> Taps:
    """Weights that widen with the reduction, as Pillow has them.

    Computed in IEEE doubles in exactly this order, no product fused with a sum; then rounded, halves away from zero.

    Args:
        inputs: pixels along the axis.
        outputs: pixels after the resize.
        kernel: bilinear, bicubic or box.

    Source: ImagingResample in Pillow's libImaging/Resample.c, the 8-bit path.
    """
    shape, reach = _SHAPES[kernel]
    scale = inputs / outputs
    stretch = max(scale, 1.0)
    support = reach * stretch
    center = (np.arange(outputs) + 0.5) * scale
    first = np.maximum((center - support + 0.5).astype(np.int64), 0)
    end = np.minimum((center + support + 0.5).astype(np.int64), inputs)
    index = first[:, None] + np.arange((end - first).max())
    weight = shape((index - center[:, None] + 0.5) * (1.0 / stretch))
    weight[index >= end[:, None]] = 0.0
    total = _sums(weight)
    # An output pixel that no tap reaches, as rounding may leave it with box, stays black.
    share = weight / np.where(total == 0.0, 1.0, total)[:, None]
    fixed = np.trunc(share * (1 << ANTIALIAS_BITS) + np.copysign(0.5, share))
    return Taps(np.minimum(index, inputs - 1), fixed.astype(np.int32))


def area_taps(inputs: int, outputs: int) -> Taps:
    """Weights by the exact share of an output pixel that each input pixel covers; halves are rounded up."""
    # On a line where an input pixel is `outputs` long, an output pixel is `inputs` long.
    start = np.arange(outputs, dtype=np.int64) * inputs
    first, last = start // outputs, (start + inputs - 1) // outputs
    index = first[:, None] + np.arange((last - first).max() + 1)
    low = np.maximum(start[:, None], index * outputs)
    high = np.minimum(start[:, None] + inputs, (index + 1) * outputs)
    covered = np.maximum(high - low, 0)
    weight = ((covered << (ANTIALIAS_BITS + 1)) + inputs) // (2 * inputs)
    return Taps(np.minimum(index, inputs - 1), weight.astype(np.int32))


def plain_taps(inputs: int, outputs: int, kernel: Kernel) -> Taps:
    """Weights of the two (bilinear) or four (bicubic) nearest pixels, whatever the reduction.

    Pixel centres lie at halves. Pixels beyond the edge are those of the edge.

    Args:
        inputs: pixels along the axis.
        outputs: pixels after the resize.
        kernel: bilinear or bicubic.
    """
    double = 2 * outputs
    position = (2 * np.arange(outputs, dtype=np.int64) + 1) * inputs - outputs
    lower, rest = position // double, position % double
    part = ((rest << (PLAIN_BITS + 1)) + double) // (2 * double)
    offsets, weight = ((0, 1), _linear(part)) if kernel is Kernel.BILINEAR else ((-1, 0, 1, 2), _cubic(part))
    index = np.clip(lower[:, None] + np.array(offsets), 0, inputs - 1)
    return Taps(index, weight.astype(np.int32))


def _linear(part: np.ndarray) -> np.ndarray:
    return np.stack([(1 << PLAIN_BITS) - part, part], axis=1)


def _cubic(part: np.ndarray) -> np.ndarray:
    """Keys' cubic with a = -3/4, as runtimes have it without antialias; the second weight takes the rounding.

    Source: R. Keys, Cubic convolution interpolation for digital image processing, 1981.
    """
    one = 1 << PLAIN_BITS
    before, behind, second = (_outer(one + part), _inner(one - part), _outer(2 * one - part))
    return np.stack([before, one - before - behind - second, behind, second], axis=1)


def _inner(distance: np.ndarray) -> np.ndarray:
    """Weight at a distance of at most one pixel: 5/4 d³ - 9/4 d² + 1, of a distance in 2^-11."""
    square = distance * distance
    return _from_cubes(5 * square * distance - ((9 * square) << PLAIN_BITS) + (4 << (3 * PLAIN_BITS)))


def _outer(distance: np.ndarray) -> np.ndarray:
    """Weight at a distance of one to two pixels: -3/4 d³ + 15/4 d² - 6 d + 3, of a distance in 2^-11."""
    square = distance * distance
    high = -3 * square * distance + ((15 * square) << PLAIN_BITS)
    return _from_cubes(high - ((24 * distance) << (2 * PLAIN_BITS)) + (12 << (3 * PLAIN_BITS)))


def _from_cubes(quadruple: np.ndarray) -> np.ndarray:
    """From four times a weight in 2^-33 to the weight in 2^-11, halves up."""
    bits = 2 * PLAIN_BITS + 2
    return (quadruple + (1 << (bits - 1))) >> bits


def _sums(weight: np.ndarray) -> np.ndarray:
    """Sum per output, tap after tap: another order would round otherwise."""
    total = np.zeros(len(weight))
    for column in weight.T:
        total = total + column
    return total


def _triangle(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    return np.where(x < 1.0, 1.0 - x, 0.0)


def _keys(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    inner = (1.5 * x - 2.5) * x * x + 1.0
    outer = (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5
    return np.where(x < 1.0, inner, np.where(x < 2.0, outer, 0.0))


def _box(x: np.ndarray) -> np.ndarray:
    return np.where((x > -0.5) & (x <= 0.5), 1.0, 0.0)


# Each kernel as a function, and how far it reaches in pixels.
_SHAPES: dict[Kernel, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    Kernel.BILINEAR: (_triangle, 1.0),
    Kernel.BICUBIC: (_keys, 2.0),
    Kernel.BOX: (_box, 0.5),
}
