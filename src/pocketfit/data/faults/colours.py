"""Faults of decoding: colours and orientation of the whole image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pocketfit.data.faults.fault import upright

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["colours_swapped", "full_as_limited", "gray", "limited_as_full", "opposite_order", "turned", "wrong_matrix"]

# Red, green, blue to luma and the two colour differences of ITU-R BT.601, and back; and back by BT.709.
BT601 = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
BT601_INVERSE = np.linalg.inv(BT601)
BT709_INVERSE = np.array([[1.0, 0.0, 1.5748], [1.0, -0.187324, -0.468124], [1.0, 1.8556, 0.0]])


def turned(image: Image.Image | np.ndarray, how: str) -> Image.Image:
    """Rotated or mirrored; `how` is a name of Pillow's `Transpose`."""
    from PIL import Image as images

    return upright(image).transpose(images.Transpose[how])


def opposite_order(image: Image.Image | np.ndarray) -> Image.Image:
    """BGR for RGB."""
    from PIL import Image as images

    return images.merge("RGB", upright(image).split()[::-1])


def gray(image: Image.Image | np.ndarray) -> Image.Image:
    """Without colour, in three equal channels."""
    return upright(image).convert("L").convert("RGB")


def colours_swapped(image: Image.Image | np.ndarray) -> Image.Image:
    """The two colour differences taken for each other, as when NV21 is read as NV12."""
    return _from_yuv(_to_yuv(image)[..., [0, 2, 1]])


def limited_as_full(image: Image.Image | np.ndarray) -> Image.Image:
    """The camera gives 16..235, and it is taken for 0..255: washed out."""
    return _from_yuv(_to_yuv(image) * np.array([219, 224, 224]) / 255 + np.array([16, 0, 0]))


def full_as_limited(image: Image.Image | np.ndarray) -> Image.Image:
    """The camera gives 0..255, and it is taken for 16..235: too much contrast, clipped at both ends."""
    return _from_yuv((_to_yuv(image) - np.array([16, 0, 0])) * 255 / np.array([219, 224, 224]))


def wrong_matrix(image: Image.Image | np.ndarray) -> Image.Image:
    """YUV made by BT.601, and turned into RGB by BT.709."""
    return _from_yuv(_to_yuv(image), BT709_INVERSE)


def _to_yuv(image: Image.Image | np.ndarray) -> np.ndarray:
    """Luma and colour differences, in whole levels, the latter around 0."""
    yuv: np.ndarray = np.rint(np.asarray(upright(image), dtype=np.float32) @ BT601.T)
    return yuv


def _from_yuv(yuv: np.ndarray, inverse: np.ndarray = BT601_INVERSE) -> Image.Image:
    from PIL import Image as images

    pixels = np.rint(yuv) @ inverse.T
    return images.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
