"""Turning, and the whole numbers of resize, crop and letterbox."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pocketfit.contract.sizes import Align, Exact, Letterbox, Rounding, ShorterSide
from pocketfit.contract.spec import Contract
from pocketfit.data.contract.quick_resize import quick_resize
from pocketfit.errors import DataError

__all__ = ["Placement", "divide", "orient", "place", "placement"]


@dataclass(frozen=True)
class Placement:
    """Where an image comes to lie in the model's input; sizes and offsets in pixels, vertical before horizontal.

    Args:
        image: size of the image, turned.
        resized: its size after the resize.
        size: of the model's input.
        offset: of the resized image's corner from the input's corner: negative after a crop, positive in a letterbox.
    """

    image: tuple[int, int]
    resized: tuple[int, int]
    size: tuple[int, int]
    offset: tuple[int, int]


def orient(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn and mirror an image so that it stands upright.

    Args:
        pixels: height × width, with or without channels.
        orientation: 1..8, the value of EXIF's tag 0x0112.

    Raises:
        DataError: another orientation.
    """
    if orientation not in range(1, 9):
        raise DataError(
            f"The orientation is {orientation}; EXIF knows 1 to 8. Give 1 for an image that stands upright."
        )
    # 5 to 8 swap rows and columns first; what is left is a mirroring of either axis.
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def placement(image: tuple[int, int], contract: Contract) -> Placement:
    """Where an image of that height and width, turned already, comes to lie.

    Raises:
        DataError: it is smaller than the crop.
    """
    resized, size, offset = _resized(image, contract)
    if contract.crop is None:
        return Placement(image, resized, size, offset)
    height, width = contract.crop.size
    if size[0] < height or size[1] < width:
        raise DataError(
            f"An image of {size[0]}x{size[1]} is smaller than the crop of {height}x{width}. "
            "Give a resize of at least the larger side of the crop."
        )
    top, left = (divide(size[axis] - contract.crop.size[axis], 2, contract.crop.offset) for axis in (0, 1))
    return Placement(image, resized, (height, width), (offset[0] - top, offset[1] - left))


def place(pixels: np.ndarray, contract: Contract) -> np.ndarray:
    """Resize, letterbox and crop an image that stands upright.

    Args:
        pixels: uint8 height × width × 3, RGB.
        contract: `resize`, `kernel`, `antialias` and `crop` are used.

    Returns:
        uint8 height × width × 3 of the size that `placement` says.

    Raises:
        DataError: the image is smaller than the crop.
    """
    where = placement((pixels.shape[0], pixels.shape[1]), contract)
    if where.resized != where.image:
        pixels = quick_resize(pixels, where.resized, contract.kernel, antialias=contract.antialias)
    fill = contract.resize.fill if isinstance(contract.resize, Letterbox) else (0, 0, 0)
    canvas = np.empty((*where.size, 3), dtype=np.uint8)
    canvas[:] = np.array(fill, dtype=np.uint8)
    (top, rows), (left, columns) = (_overlap(where, axis) for axis in (0, 1))
    canvas[top : top + len(rows), left : left + len(columns)] = pixels[
        rows.start : rows.stop, columns.start : columns.stop
    ]
    return canvas


def divide(numerator: int, denominator: int, rounding: Rounding) -> int:
    """A quotient of whole numbers above 0, rounded, without ever leaving the integers."""
    quotient, rest = divmod(numerator, denominator)
    if rounding is Rounding.FLOOR or 2 * rest < denominator:
        return quotient
    return quotient + 1 if 2 * rest > denominator else quotient + quotient % 2


def _resized(image: tuple[int, int], contract: Contract) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Size of the resized image, of the canvas it lies on, and its corner there."""
    match contract.resize:
        case ShorterSide() as side:
            size = _shorter_side(image, side)
        case Letterbox() as box:
            size = _fitted(image, box)
            margin = (box.size[0] - size[0], box.size[1] - size[1])
            return size, box.size, (margin[0] // 2, margin[1] // 2) if box.align is Align.CENTER else (0, 0)
        case Exact() as exact:
            size = exact.size
        case None:
            size = image
    return size, size, (0, 0)


def _shorter_side(image: tuple[int, int], side: ShorterSide) -> tuple[int, int]:
    height, width = image
    if width <= height:
        return max(side.pixels, divide(height * side.pixels, width, side.longer)), side.pixels
    return side.pixels, max(side.pixels, divide(width * side.pixels, height, side.longer))


def _fitted(image: tuple[int, int], box: Letterbox) -> tuple[int, int]:
    """The size at which the image touches two sides of the box; the width fills it where both fit."""
    (height, width), (high, wide) = image, box.size
    if wide * height <= high * width:
        return max(1, divide(height * wide, width, box.longer)), wide
    return high, max(1, divide(width * high, height, box.longer))


def _overlap(where: Placement, axis: int) -> tuple[int, range]:
    """First input pixel that the image reaches, and which of the image's pixels lie inside."""
    offset = where.offset[axis]
    first = max(0, -offset)
    last = min(where.resized[axis], where.size[axis] - offset)
    return max(0, offset), range(first, max(first, last))
