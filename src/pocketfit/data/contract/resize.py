"""Resize in integers, so that every language gets the same pixels."""

from __future__ import annotations

import numpy as np

from pocketfit.contract.sizes import Kernel
from pocketfit.data.contract.taps import (
    ANTIALIAS_BITS,
    PLAIN_BITS,
    Taps,
    antialiased_taps,
    area_taps,
    nearest_taps,
    plain_taps,
)

__all__ = ["axis_taps", "resize", "rounds_between"]


def resize(pixels: np.ndarray, size: tuple[int, int], kernel: Kernel, *, antialias: bool = True) -> np.ndarray:
    """Resize an image, columns first and then rows.

    With antialias bilinear, bicubic and box equal Pillow's `Image.resize` bit for bit, wherever Pillow begins with the
    columns.

    Args:
        pixels: uint8 height × width × channels, or height × width.
        size: height and width wanted.
        kernel: how pixels are weighed.
        antialias: for bilinear and bicubic; the other kernels know one way only.

    Returns:
        uint8 of that size.
    """
    rows, row_unit = axis_taps(pixels.shape[0], size[0], kernel, antialias=antialias)
    columns, column_unit = axis_taps(pixels.shape[1], size[1], kernel, antialias=antialias)
    if kernel is Kernel.NEAREST:
        return np.ascontiguousarray(pixels[rows.index[:, 0]][:, columns.index[:, 0]])
    # Whole rows are moved several times as fast as single pixels: the columns are done lying down.
    across = _weighed(_turned(pixels), columns)
    if rounds_between(kernel, antialias):
        return _rounded(_weighed(_turned(_rounded(across, column_unit)), rows), row_unit)
    return _rounded(_weighed(_turned(across), rows), column_unit * row_unit)


def _turned(values: np.ndarray) -> np.ndarray:
    """Rows for columns."""
    return np.ascontiguousarray(values.swapaxes(0, 1))


def rounds_between(kernel: Kernel, antialias: bool) -> bool:
    """Whether the columns are rounded to pixels before the rows are computed, rather than once at the end."""
    return antialias or kernel not in (Kernel.BILINEAR, Kernel.BICUBIC)


def axis_taps(inputs: int, outputs: int, kernel: Kernel, *, antialias: bool) -> tuple[Taps, int]:
    """The weights along one axis, and what a weight of 1 is in their units."""
    if kernel is Kernel.NEAREST:
        return nearest_taps(inputs, outputs), 1
    if kernel is Kernel.AREA:
        return area_taps(inputs, outputs), 1 << ANTIALIAS_BITS
    if antialias or kernel is Kernel.BOX:
        return antialiased_taps(inputs, outputs, kernel), 1 << ANTIALIAS_BITS
    return plain_taps(inputs, outputs, kernel), 1 << PLAIN_BITS


def _weighed(values: np.ndarray, taps: Taps) -> np.ndarray:
    """Weighted sums along the first axis; no kernel can leave 32 bits."""
    shape = [-1] + [1] * (values.ndim - 1)
    parts = zip(taps.index.T, taps.weight.T, strict=True)
    index, weight = next(parts)
    sums: np.ndarray = values[index] * weight.reshape(shape)
    for index, weight in parts:
        sums += values[index] * weight.reshape(shape)
    return sums


def _rounded(sums: np.ndarray, unit: int) -> np.ndarray:
    """Add half a unit, divide downwards (a shift with the sign), clip."""
    bits = unit.bit_length() - 1
    pixels: np.ndarray = np.clip((sums + unit // 2) >> bits, 0, 255).astype(np.uint8)
    return pixels
