"""From camera planes to RGB, in integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pocketfit.contract.inputs import Matrix, Range, Yuv, YuvFormat
from pocketfit.errors import DataError

__all__ = ["SHIFT", "Coefficients", "Plane", "YuvImage", "coefficients", "from_buffer", "yuv_to_rgb"]

SHIFT = 16


@dataclass(frozen=True)
class Plane:
    """One plane as Android's `Image.Plane` gives it.

    The sample at (row, column) is `data[row * row_stride + column * pixel_stride]`.

    Args:
        data: uint8, one dimension; it may end with the last sample, short of a full row.
        row_stride: bytes from one row to the next.
        pixel_stride: bytes from one sample to the next: 1, or 2 where U and V are interleaved.
    """

    data: np.ndarray
    row_stride: int
    pixel_stride: int = 1


@dataclass(frozen=True)
class YuvImage:
    """A camera image: a Y for every pixel, a U and a V for every 2×2, rounded up at odd sizes.

    Args:
        height: pixels.
        width: pixels.
        y: luma.
        u: blue difference.
        v: red difference.
    """

    height: int
    width: int
    y: Plane
    u: Plane
    v: Plane


@dataclass(frozen=True)
class Coefficients:
    """What YUV is multiplied by, in units of 2^-16.

    Args:
        offset: subtracted from Y first.
        y: of Y, for all three colours.
        red_v: of V - 128, added to red.
        green_u: of U - 128, subtracted from green.
        green_v: of V - 128, subtracted from green.
        blue_u: of U - 128, added to blue.
    """

    offset: int
    y: int
    red_v: int
    green_u: int
    green_v: int
    blue_u: int


# round(65536 * c), where c follows from the recommendation's red and blue weights, times 255/219 and 255/224 for the
# limited range.
_COEFFICIENTS = {
    (Matrix.BT601, Range.FULL): Coefficients(0, 65536, 91881, 22553, 46802, 116130),
    (Matrix.BT601, Range.LIMITED): Coefficients(16, 76309, 104597, 25675, 53279, 132201),
    (Matrix.BT709, Range.FULL): Coefficients(0, 65536, 103206, 12276, 30679, 121609),
    (Matrix.BT709, Range.LIMITED): Coefficients(16, 76309, 117489, 13975, 34925, 138438),
}


def coefficients(matrix: Matrix, range: Range) -> Coefficients:
    """The integers of a conversion."""
    return _COEFFICIENTS[matrix, range]


def yuv_to_rgb(image: YuvImage, matrix: Matrix, range: Range) -> np.ndarray:
    """Convert a camera image.

    A pixel takes the U and V of its 2×2 block as they are, without interpolation.

    Args:
        image: as the camera gave it.
        matrix: that it follows.
        range: of its numbers.

    Returns:
        uint8 height × width × 3, RGB.

    Raises:
        DataError: a plane is shorter than the size and strides ask for.
    """
    c = coefficients(matrix, range)
    y = (_samples(image.y, image.height, image.width, "Y") - c.offset) * c.y + (1 << (SHIFT - 1))
    u, v = (_chroma(plane, image, name) for plane, name in ((image.u, "U"), (image.v, "V")))
    colours = (y + v * c.red_v, y - u * c.green_u - v * c.green_v, y + u * c.blue_u)
    return np.stack([np.clip(colour >> SHIFT, 0, 255).astype(np.uint8) for colour in colours], axis=-1)


def from_buffer(data: np.ndarray, height: int, width: int, input: Yuv, row_stride: int | None = None) -> YuvImage:
    """Find the planes in one buffer that holds all of them, one after the other.

    Args:
        data: uint8, one dimension.
        height: pixels.
        width: pixels.
        input: its `format` says how the planes lie.
        row_stride: bytes of a row of Y; rows of chroma are that long where U and V are interleaved, and half of it,
            rounded up, where they are not. The width if not given, made even for interleaved rows of chroma.

    Raises:
        DataError: the buffer is too short.
    """
    luma = width if row_stride is None else row_stride
    half = (luma + 1) // 2
    rest = data[luma * height :]
    if input.format is YuvFormat.I420:
        size = half * ((height + 1) // 2)
        return YuvImage(height, width, Plane(data, luma), Plane(rest, half), Plane(rest[size:], half))
    chroma = 2 * half if row_stride is None else row_stride
    first, second = Plane(rest, chroma, 2), Plane(rest[1:], chroma, 2)
    u, v = (first, second) if input.format is YuvFormat.NV12 else (second, first)
    return YuvImage(height, width, Plane(data, luma), u, v)


def _chroma(plane: Plane, image: YuvImage, name: str) -> np.ndarray:
    samples = _samples(plane, (image.height + 1) // 2, (image.width + 1) // 2, name) - 128
    return samples.repeat(2, axis=0).repeat(2, axis=1)[: image.height, : image.width]


def _samples(plane: Plane, height: int, width: int, name: str) -> np.ndarray:
    """int32 height × width."""
    needed = (height - 1) * plane.row_stride + (width - 1) * plane.pixel_stride + 1
    if plane.data.ndim != 1 or plane.data.dtype != np.uint8 or len(plane.data) < needed:
        raise DataError(
            f"The {name} plane is {plane.data.dtype} of shape {plane.data.shape}; {height} rows of {width} samples "
            f"with strides {plane.row_stride} and {plane.pixel_stride} need uint8 and at least {needed} bytes in one "
            "dimension. Check the size, the strides and the format."
        )
    rows = np.arange(height)[:, None] * plane.row_stride
    samples: np.ndarray = plane.data[rows + np.arange(width) * plane.pixel_stride]
    return samples.astype(np.int32)
