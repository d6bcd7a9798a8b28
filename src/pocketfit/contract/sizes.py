"""How an image comes to the size that the model takes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pocketfit.contract.checks import in_pixels, one_of
from pocketfit.errors import OptionError

__all__ = ["Align", "Crop", "Exact", "Kernel", "Letterbox", "Rounding", "ShorterSide"]


class Kernel(StrEnum):
    """How a resize weighs pixels; `Contract.antialias` is about bilinear and bicubic."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    AREA = "area"


class Rounding(StrEnum):
    """How a quotient becomes a whole number of pixels: the lower one, or the nearest, and the even one of two."""

    FLOOR = "floor"
    HALF_EVEN = "half_even"


class Align(StrEnum):
    """Where a letterboxed image lies: in the middle, with the smaller margin at the top and left, or at the corner."""

    CENTER = "center"
    TOP_LEFT = "top_left"


@dataclass(frozen=True)
class ShorterSide:
    """Resize so that the shorter side has that many pixels, keeping the aspect.

    Args:
        pixels: of the shorter side.
        longer: how the longer side, `longer * pixels / shorter`, is rounded.
        kind: how JSON tells this from the other resizes.
    """

    pixels: int
    longer: Rounding = Rounding.HALF_EVEN
    kind: Literal["shorter_side"] = "shorter_side"

    def __post_init__(self) -> None:
        in_pixels("resize.pixels", self.pixels)
        one_of("resize.longer", self.longer, Rounding)


@dataclass(frozen=True)
class Exact:
    """Resize to (height, width) whatever the aspect.

    Args:
        size: height and width in pixels.
        kind: how JSON tells this from the other resizes.
    """

    size: tuple[int, int]
    kind: Literal["exact"] = "exact"

    def __post_init__(self) -> None:
        in_pixels("resize.size", *self.size)


@dataclass(frozen=True)
class Letterbox:
    """Resize so that the image just fits into (height, width), keeping the aspect, and fill the rest.

    Args:
        size: height and width in pixels.
        fill: red, green and blue of the margin, 0..255.
        align: where the image lies.
        longer: how the side that does not fill its place is rounded; it is at least 1.
        kind: how JSON tells this from the other resizes.
    """

    size: tuple[int, int]
    fill: tuple[int, int, int] = (114, 114, 114)
    align: Align = Align.CENTER
    longer: Rounding = Rounding.HALF_EVEN
    kind: Literal["letterbox"] = "letterbox"

    def __post_init__(self) -> None:
        in_pixels("resize.size", *self.size)
        if not all(0 <= value <= 255 for value in self.fill):
            raise OptionError(f"resize.fill is {self.fill}; allowed are three whole numbers from 0 to 255.")
        one_of("resize.align", self.align, Align)
        one_of("resize.longer", self.longer, Rounding)


@dataclass(frozen=True)
class Crop:
    """Cut (height, width) out of the middle.

    Args:
        size: height and width in pixels.
        offset: how half of the margin is rounded to the first row and column that are kept.
    """

    size: tuple[int, int]
    offset: Rounding = Rounding.FLOOR

    def __post_init__(self) -> None:
        in_pixels("crop.size", *self.size)
        one_of("crop.offset", self.offset, Rounding)
