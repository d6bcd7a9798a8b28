"""The contract on the samples of a run: geometry on pixels once, arithmetic on numbers batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from pocketfit.contract import Color, Contract, Crop, Dtype, Layout, ShorterSide
from pocketfit.data.contract.arithmetic import arrange
from pocketfit.data.contract.geometry import orient, place
from pocketfit.errors import DataError
from pocketfit.types import Samples

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["arithmetic", "batches", "default_preprocess", "geometry", "input_size", "makes"]

# Tag of EXIF.
ORIENTATION = 0x0112


def geometry(image: Image.Image, spec: Contract) -> np.ndarray:
    """Turn, resize, letterbox and crop a decoded image.

    Args:
        image: in any mode; its EXIF orientation is applied unless the contract fixes one.
        spec: `orientation`, `resize`, `kernel`, `antialias` and `crop` are used.

    Returns:
        uint8 height × width × 3, RGB whatever `spec.color` says.

    Raises:
        DataError: the image is smaller than the crop.
    """
    pixels = np.asarray(_to_rgb(image))
    return place(orient(pixels, _told(image) if spec.orientation is None else spec.orientation), spec)


def arithmetic(images: np.ndarray, spec: Contract) -> np.ndarray:
    """From pixels to the model's numbers: colour, table and layout of the contract.

    Args:
        images: uint8 N×H×W×3, RGB.
        spec: everything but the geometry is used.

    Returns:
        Contiguous, of the contract's layout and dtype, with one channel for `gray` and three otherwise.
    """
    return arrange(images, spec)


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


def default_preprocess(input_shape: tuple[int, ...], *, fitting: bool = False) -> Contract:
    """What is assumed when neither the user nor the model says anything: pixels in 0..1, one eighth of margin cut off.

    Args:
        input_shape: of the model, without the batch: 1 or 3 channels, height, width; or height, width, channels.
        fitting: whether the images have the model's height and width already.

    Raises:
        DataError: the model does not take images.
    """
    layout = next((one for one in Layout if _channels(input_shape, one) in (1, 3)), None)
    if layout is None:
        shape = "x".join(str(size) for size in input_shape)
        raise DataError(
            f"The data are images, but the model takes {shape}, not 1 or 3 channels x height x width. "
            "Give an .npz whose x holds float32 inputs of that shape."
        )
    color = Color.GRAY if _channels(input_shape, layout) == 1 else Color.RGB
    if fitting:
        return Contract(color=color, layout=layout)
    size = input_size(input_shape, layout)
    return Contract(resize=ShorterSide(round(max(size) * 8 / 7)), crop=Crop(size), color=color, layout=layout)


def input_size(input_shape: tuple[int, ...], layout: Layout) -> tuple[int, int]:
    """Height and width of a model's input whose shape, without the batch, has three numbers."""
    height, width = input_shape[1:] if layout is Layout.NCHW else input_shape[:2]
    return height, width


def makes(spec: Contract, input_shape: tuple[int, ...]) -> bool:
    """Whether a contract can make what a model takes, as far as that does not depend on the image."""
    if _channels(input_shape, spec.layout) != spec.channels or spec.dtype is not Dtype.FLOAT32:
        return False
    fixed = spec.crop or (None if isinstance(spec.resize, ShorterSide) else spec.resize)
    return fixed is None or fixed.size == input_size(input_shape, spec.layout)


def _channels(input_shape: tuple[int, ...], layout: Layout) -> int | None:
    if len(input_shape) != 3:
        return None
    return input_shape[0] if layout is Layout.NCHW else input_shape[2]


def _told(image: Image.Image) -> int:
    """The orientation that comes with an image; one that EXIF does not know is none."""
    told = image.getexif().get(ORIENTATION, 1)
    return told if told in range(1, 9) else 1


def _to_rgb(image: Image.Image) -> Image.Image:
    # Loaded before its mode is looked at, and its EXIF: Pillow turns a TIFF as it loads it.
    image.load()
    if image.mode.startswith("I;16") or image.mode == "I":
        # PIL clips sixteen bits at 255 instead of scaling them, which turns every such image white.
        from PIL import Image as images

        return images.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")
