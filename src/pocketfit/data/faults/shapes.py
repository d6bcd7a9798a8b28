"""Faults of the geometry: another kernel, another part of the image, other proportions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pocketfit.data.preprocess import geometry
from pocketfit.types import PreprocessSpec

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["aliased", "from_the_corner", "kernel", "letterboxed", "squashed", "squashed_then_cropped", "without_margin"]


def kernel(image: Image.Image, spec: PreprocessSpec, name: str) -> np.ndarray:
    """Resized with another kernel; `name` is one of Pillow's `Resampling`."""
    from PIL import Image as images

    return _cropped(image.resize(_resized(image, spec), images.Resampling[name]), spec)


def aliased(image: Image.Image, spec: PreprocessSpec) -> np.ndarray:
    """Bilinear between the four nearest pixels, however many are skipped."""
    from PIL import Image as images

    width, height = _resized(image, spec)
    matrix = (image.width / width, 0, 0, 0, image.height / height, 0)
    sampled = image.transform((width, height), images.Transform.AFFINE, matrix, images.Resampling.BILINEAR)
    return _cropped(sampled, spec)


def squashed(image: Image.Image, spec: PreprocessSpec) -> np.ndarray:
    """The whole image pressed into the model's input."""
    return geometry(image, replace(spec, resize=_size(image, spec), crop=None))


def squashed_then_cropped(image: Image.Image, spec: PreprocessSpec) -> np.ndarray:
    """Both sides resized to the length that is meant for the shorter one, then cropped."""
    square = (spec.resize, spec.resize) if isinstance(spec.resize, int) else spec.resize
    return geometry(image, replace(spec, resize=square))


def without_margin(image: Image.Image, spec: PreprocessSpec) -> np.ndarray:
    """Resized until the image just covers the model's input, so that no margin is cut off."""
    height, width = _size(image, spec)
    scale = max(height / image.height, width / image.width)
    covering = (max(height, round(image.height * scale)), max(width, round(image.width * scale)))
    return geometry(image, replace(spec, resize=covering, crop=(height, width)))


def letterboxed(image: Image.Image, spec: PreprocessSpec) -> np.ndarray:
    """The whole image in its own proportions, with black bars."""
    from PIL import Image as images
    from PIL import ImageOps

    height, width = _size(image, spec)
    return np.asarray(ImageOps.pad(image, (width, height), images.Resampling.BILINEAR))


def from_the_corner(image: Image.Image, spec: PreprocessSpec) -> np.ndarray:
    """The crop taken from the upper left corner."""
    height, width = _size(image, spec)
    return geometry(image, replace(spec, crop=None))[:height, :width]


def _resized(image: Image.Image, spec: PreprocessSpec) -> tuple[int, int]:
    """(width, height) after the right resize."""
    height, width, _ = geometry(image, replace(spec, crop=None)).shape
    return width, height


def _size(image: Image.Image, spec: PreprocessSpec) -> tuple[int, int]:
    """(height, width) of the model's input."""
    if spec.crop is not None:
        return spec.crop
    height, width, _ = geometry(image, spec).shape
    return height, width


def _cropped(image: Image.Image, spec: PreprocessSpec) -> np.ndarray:
    return geometry(image, replace(spec, resize=None))
