"""The preprocessing contract: geometry on pixels, then arithmetic on numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from pocketfit.errors import DataError
from pocketfit.types import Color, PreprocessSpec, Samples

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["arithmetic", "batches", "default_preprocess", "geometry"]

# Luma of ITU-R BT.601, which image libraries mean by "grayscale".
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def geometry(image: Image.Image, spec: PreprocessSpec) -> np.ndarray:
    """Turn, resize and crop a decoded image.

    Args:
        image: in any mode; its EXIF orientation is applied.
        spec: `resize` and `crop` are used.

    Returns:
        uint8 height × width × 3, RGB whatever `spec.color` says.

    Raises:
        DataError: the image is smaller than the crop.
    """
    from PIL import ImageOps

    image = _to_rgb(ImageOps.exif_transpose(image))
    return np.asarray(_crop(_resize(image, spec), spec))


def arithmetic(images: np.ndarray, spec: PreprocessSpec) -> np.ndarray:
    """Compute `(pixel * scale - mean) / std`.

    Args:
        images: uint8 N×H×W×3, RGB.
        spec: `color`, `scale`, `mean` and `std` are used.

    Returns:
        float32 NCHW, contiguous, with one channel for `gray` and three otherwise.
    """
    pixels = _in_color(images, spec.color) * np.float32(spec.scale)
    mean, std = np.asarray(spec.mean, dtype=np.float32), np.asarray(spec.std, dtype=np.float32)
    return np.ascontiguousarray(((pixels - mean) / std).transpose(0, 3, 1, 2))


def batches(samples: Samples, size: int) -> Iterator[np.ndarray]:
    """Yield the samples as the model takes them.

    Args:
        samples: images before the arithmetic, or model inputs.
        size: samples a batch; the last may be smaller.

    Yields:
        float32, contiguous, batch first.
    """
    for start in range(0, len(samples.inputs), size):
        batch = samples.inputs[start : start + size]
        if samples.preprocess is None:
            yield np.ascontiguousarray(batch, dtype=np.float32)
        else:
            yield arithmetic(batch, samples.preprocess)


def default_preprocess(input_shape: tuple[int, ...], *, fitting: bool = False) -> PreprocessSpec:
    """What is assumed when neither the user nor the model says anything: pixels in 0..1, one eighth of margin cut off.

    Args:
        input_shape: of the model, without the batch: 1 or 3 channels, height, width.
        fitting: whether the images have the model's height and width already.

    Raises:
        DataError: the model does not take images.
    """
    if len(input_shape) != 3 or input_shape[0] not in (1, 3):
        shape = "x".join(str(size) for size in input_shape)
        raise DataError(
            f"The data are images, but the model takes {shape}, not 1 or 3 channels x height x width. "
            "Give an .npz whose x holds float32 inputs of that shape."
        )
    channels, height, width = input_shape
    color = Color.GRAY if channels == 1 else Color.RGB
    if fitting:
        return PreprocessSpec(color=color)
    return PreprocessSpec(resize=round(max(height, width) * 8 / 7), crop=(height, width), color=color)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        # PIL clips sixteen bits at 255 instead of scaling them, which turns every such image white.
        from PIL import Image as images

        return images.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


def _resize(image: Image.Image, spec: PreprocessSpec) -> Image.Image:
    from PIL import Image as images

    if spec.resize is None:
        return image
    return image.resize(_target(image.size, spec.resize), images.Resampling.BILINEAR)


def _target(size: tuple[int, int], resize: int | tuple[int, int]) -> tuple[int, int]:
    """(width, height) after the resize, as PIL counts."""
    if isinstance(resize, tuple):
        return resize[1], resize[0]
    width, height = size
    if width <= height:
        return resize, max(resize, round(height * resize / width))
    return max(resize, round(width * resize / height)), resize


def _crop(image: Image.Image, spec: PreprocessSpec) -> Image.Image:
    if spec.crop is None:
        return image
    height, width = spec.crop
    if image.width < width or image.height < height:
        raise DataError(
            f"An image of {image.height}x{image.width} is smaller than the crop of {height}x{width}. "
            "Give --resize at least the larger side of --crop."
        )
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def _in_color(images: np.ndarray, color: Color) -> np.ndarray:
    if color is Color.GRAY:
        return (images.astype(np.float32) @ LUMA)[..., None]
    return images[..., ::-1].astype(np.float32) if color is Color.BGR else images.astype(np.float32)
