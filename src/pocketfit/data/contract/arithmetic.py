"""From uint8 pixels to the model's numbers, by tables: 256 entries a channel, the same bits in every language."""

from __future__ import annotations

import numpy as np

from pocketfit.contract.spec import Color, Contract, Dtype, Layout, Quantization

__all__ = ["arrange", "dequantize", "in_color", "luma", "quantize", "table"]

# Red, green and blue of ITU-R BT.601 in 2^-16; together 65536, so that gray stays what it is.
LUMA = (19595, 38470, 7471)


def luma(pixels: np.ndarray) -> np.ndarray:
    """Gray as `(19595 R + 38470 G + 7471 B + 32768) >> 16`, which is Pillow's mode L.

    Args:
        pixels: uint8 … × 3, RGB.

    Returns:
        uint8 without the last axis.
    """
    weighted = pixels.astype(np.int32) * np.array(LUMA, dtype=np.int32)
    gray: np.ndarray = ((weighted.sum(axis=-1, dtype=np.int32) + 32768) >> 16).astype(np.uint8)
    return gray


def in_color(pixels: np.ndarray, color: Color) -> np.ndarray:
    """The channels that the model wants.

    Args:
        pixels: uint8 … × 3, RGB.
        color: order of the result.

    Returns:
        uint8, the last axis of 3, or of 1 for gray.
    """
    if color is Color.GRAY:
        return luma(pixels)[..., None]
    return pixels[..., ::-1] if color is Color.BGR else pixels


def table(contract: Contract) -> np.ndarray:
    """The model's number for each pixel value.

    Computed in float32, each operation rounded to the nearest float32: the pixel times the scale, minus the mean,
    divided by the std; for integers then divided by the quantization's scale, rounded to the nearest integer, halves
    to the even one, plus the zero point, clipped.

    Returns:
        channels × 256, of the contract's dtype.
    """
    pixels = np.arange(256, dtype=np.float32) * np.float32(contract.scale)
    mean, std = (_per_channel(values, contract.channels) for values in (contract.mean, contract.std))
    values = (pixels - mean) / std
    return values if contract.quantization is None else quantize(values, contract.dtype, contract.quantization)


def arrange(pixels: np.ndarray, contract: Contract) -> np.ndarray:
    """Colour, table and layout.

    Args:
        pixels: uint8 N × height × width × 3, RGB, of the model's size.
        contract: everything but the geometry is used.

    Returns:
        The model's input, contiguous, of the contract's layout and dtype.
    """
    channels, numbers = in_color(pixels, contract.color), table(contract)
    planes = np.empty((len(pixels), contract.channels, *pixels.shape[1:3]), dtype=numbers.dtype)
    for channel, column in enumerate(numbers):
        # No pixel is beyond the table; told so, numpy does not look.
        np.take(column, channels[..., channel], out=planes[:, channel], mode="clip")
    return planes if contract.layout is Layout.NCHW else np.ascontiguousarray(planes.transpose(0, 2, 3, 1))


def quantize(values: np.ndarray, dtype: Dtype, numbers: Quantization) -> np.ndarray:
    """`clip(rint(x / scale) + zero_point)`, halves to the even integer, the division in float32.

    Args:
        values: float32.
        dtype: uint8 or int8.
        numbers: of the model's input or output.
    """
    limits = np.iinfo(dtype.value)
    steps = np.rint(values / np.float32(numbers.scale)).astype(np.float64) + numbers.zero_point
    return np.clip(steps, limits.min, limits.max).astype(dtype.value)


def dequantize(integers: np.ndarray, numbers: Quantization) -> np.ndarray:
    """`(q - zero_point) * scale` in float32."""
    return (integers.astype(np.int32) - numbers.zero_point).astype(np.float32) * np.float32(numbers.scale)


def _per_channel(values: tuple[float, ...], channels: int) -> np.ndarray:
    return np.broadcast_to(np.array(values, dtype=np.float32), channels)[:, None]
