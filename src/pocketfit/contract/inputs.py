"""What an app hands over: a decoded image, or the planes of a camera."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pocketfit.contract.checks import one_of

__all__ = ["Matrix", "PixelFormat", "Pixels", "Range", "Yuv", "YuvFormat"]


class PixelFormat(StrEnum):
    """Decoded images, 8 bits a channel; alpha is dropped."""

    RGB = "rgb"
    RGBA = "rgba"
    GRAY = "gray"


class YuvFormat(StrEnum):
    """Camera images with one U and one V for 2×2 pixels: V and U interleaved, U and V interleaved, three planes."""

    NV21 = "nv21"
    NV12 = "nv12"
    I420 = "i420"


class Matrix(StrEnum):
    """ITU-R recommendation that YUV follows."""

    BT601 = "bt601"
    BT709 = "bt709"


class Range(StrEnum):
    """Whether luma is 16..235 and chroma 16..240, or both 0..255."""

    LIMITED = "limited"
    FULL = "full"


@dataclass(frozen=True)
class Pixels:
    """The app has a decoded image.

    Args:
        format: uint8 height × width × 3, × 4, or without channels.
        kind: how JSON tells this from `Yuv`.
    """

    format: PixelFormat = PixelFormat.RGB
    kind: Literal["pixels"] = "pixels"

    def __post_init__(self) -> None:
        one_of("input.format", self.format, PixelFormat)


@dataclass(frozen=True)
class Yuv:
    """The app has a camera image.

    Args:
        format: how the planes lie in memory.
        matrix: of the conversion to RGB.
        range: of the numbers in the planes.
        kind: how JSON tells this from `Pixels`.
    """

    format: YuvFormat
    matrix: Matrix = Matrix.BT601
    range: Range = Range.FULL
    kind: Literal["yuv"] = "yuv"

    def __post_init__(self) -> None:
        one_of("input.format", self.format, YuvFormat)
        one_of("input.matrix", self.matrix, Matrix)
        one_of("input.range", self.range, Range)
