"""The contract carried out: the reference that every app is compared with."""

from __future__ import annotations

import numpy as np

from pocketfit.contract.inputs import PixelFormat, Pixels, Yuv
from pocketfit.contract.spec import Contract
from pocketfit.data.contract.arithmetic import arrange
from pocketfit.data.contract.geometry import orient, place
from pocketfit.data.contract.yuv import YuvImage, yuv_to_rgb
from pocketfit.errors import DataError

__all__ = ["prepare", "to_rgb"]

_CHANNELS = {PixelFormat.RGB: (3,), PixelFormat.RGBA: (4,), PixelFormat.GRAY: ()}


def prepare(image: np.ndarray | YuvImage, contract: Contract, *, orientation: int = 1) -> np.ndarray:
    """From what an app has in memory to the model's input.

    Args:
        image: what `contract.input` says: uint8 height × width (× 3 or 4), or planes.
        contract: to be carried out.
        orientation: that comes with the image, 1..8 as EXIF counts; a contract that fixes one overrules it.

    Returns:
        The model's input with a batch of 1, in the contract's layout and dtype.

    Raises:
        DataError: the image is not what the contract says, or smaller than the crop.
    """
    upright = orient(to_rgb(image, contract), orientation if contract.orientation is None else contract.orientation)
    return arrange(place(upright, contract)[None], contract)


def to_rgb(image: np.ndarray | YuvImage, contract: Contract) -> np.ndarray:
    """The first step: uint8 height × width × 3; alpha is dropped, gray repeated.

    Raises:
        DataError: the image is not what `contract.input` says.
    """
    match contract.input:
        case Yuv(matrix=matrix, range=range) if isinstance(image, YuvImage):
            return yuv_to_rgb(image, matrix, range)
        case Pixels(format=format) if isinstance(image, np.ndarray):
            return _decoded(image, format)
    raise DataError(
        f"The contract's input is {contract.input.format}, but a {type(image).__name__} was handed over. "
        "Pixels are numpy arrays, and camera images are YuvImage."
    )


def _decoded(image: np.ndarray, format: PixelFormat) -> np.ndarray:
    channels = _CHANNELS[format]
    if image.dtype != np.uint8 or image.shape[2:] != channels or image.ndim != 2 + len(channels) or not image.size:
        wanted = "".join(f" x {count}" for count in channels)
        raise DataError(
            f"The image is {image.dtype} of shape {image.shape}; {format} is uint8 of height x width{wanted}. "
            "Decode it so, or change the contract's input."
        )
    return np.repeat(image[..., None], 3, axis=2) if format is PixelFormat.GRAY else image[..., :3]
