"""Faults of the geometry: another kernel, another part of the image, other proportions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pocketfit.contract import Contract, Crop, Exact, Kernel, Letterbox, ShorterSide
from pocketfit.data.contract.geometry import placement
from pocketfit.data.preprocess import geometry

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "from_the_corner",
    "letterboxed",
    "squashed",
    "squashed_then_cropped",
    "with_kernel",
    "without_antialias",
    "without_margin",
]


def with_kernel(image: Image.Image, spec: Contract, kernel: Kernel) -> np.ndarray:
    """Resized with another kernel, with antialias where it knows any."""
    return geometry(image, replace(spec, kernel=kernel, antialias=True))


def without_antialias(image: Image.Image, spec: Contract) -> np.ndarray:
    """Bilinear between the four nearest pixels, however many are skipped."""
    return geometry(image, replace(spec, kernel=Kernel.BILINEAR, antialias=False))


def squashed(image: Image.Image, spec: Contract) -> np.ndarray:
    """The whole image pressed into the model's input."""
    return geometry(image, replace(spec, resize=Exact(_size(image, spec)), crop=None))


def squashed_then_cropped(image: Image.Image, spec: Contract) -> np.ndarray:
    """Both sides resized to the length that is meant for the shorter one, then cropped."""
    resize = spec.resize
    square = Exact((resize.pixels, resize.pixels)) if isinstance(resize, ShorterSide) else resize
    return geometry(image, replace(spec, resize=square))


def without_margin(image: Image.Image, spec: Contract) -> np.ndarray:
    """Resized until the image just covers the model's input, so that no margin is cut off."""
    height, width = _size(image, spec)
    scale = max(height / image.height, width / image.width)
    covering = (max(height, round(image.height * scale)), max(width, round(image.width * scale)))
    return geometry(image, replace(spec, resize=Exact(covering), crop=Crop((height, width))))


def letterboxed(image: Image.Image, spec: Contract) -> np.ndarray:
    """The whole image in its own proportions, with black bars."""
    return geometry(image, replace(spec, resize=Letterbox(_size(image, spec), fill=(0, 0, 0)), crop=None))


def from_the_corner(image: Image.Image, spec: Contract) -> np.ndarray:
    """The crop taken from the upper left corner."""
    height, width = _size(image, spec)
    return geometry(image, replace(spec, crop=None))[:height, :width]


def _size(image: Image.Image, spec: Contract) -> tuple[int, int]:
    """(height, width) of the model's input."""
    return placement((image.height, image.width), spec).size
