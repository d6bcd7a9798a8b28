"""Samples that are in memory: what `.npz` files and datasets end up as."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pocketfit.contract import Contract
from pocketfit.data.checks import check_finite, check_images, check_inputs
from pocketfit.data.dataset import Dataset, Request, array_digest, fingerprint
from pocketfit.data.preprocess import default_preprocess, geometry, input_size
from pocketfit.data.split import Split
from pocketfit.errors import DataError
from pocketfit.types import Samples

__all__ = ["from_floats", "from_images"]

IGNORED = (
    "The data are float numbers and taken as they are; the preprocessing is recorded for the app but not applied here."
)


def from_floats(inputs: np.ndarray, labels: np.ndarray | None, chosen: Split, request: Request) -> Dataset:
    """Build a dataset of model inputs.

    Args:
        inputs: float N×(model input shape).
        labels: int64 of length N, or None.
        chosen: positions in `inputs`.
        request: what was asked.

    Raises:
        DataError: another shape than the model's, or NaN or infinity.
    """
    check_inputs(inputs.shape[1:], request.input_shape, request.spec)
    check_finite(inputs, request.spec)
    notes = (*chosen.notes, *(() if request.preprocess is None else (IGNORED,)))
    return _dataset(inputs.astype(np.float32, copy=False), labels, None, chosen, request.spec, notes)


def from_images(images: Sequence[np.ndarray], labels: np.ndarray | None, chosen: Split, request: Request) -> Dataset:
    """Build a dataset of images; those that have the model's height and width already are not resized again.

    Args:
        images: uint8 height × width × 1 or 3, or height × width, RGB.
        labels: int64 of length N, or None.
        chosen: positions in `images`.
        request: what was asked.

    Raises:
        DataError: images that the preprocessing cannot bring to the model's input.
    """
    assumed = request.preprocess or default_preprocess(request.input_shape)
    fitting = len(request.input_shape) == 3 and _all_of(images, input_size(request.input_shape, assumed.layout))
    spec = request.preprocess or default_preprocess(request.input_shape, fitting=fitting)
    pixels = _stacked([_rgb(image) if fitting else _resized(image, spec) for image in images], request.spec)
    check_images(pixels.shape[1:3], spec, request.input_shape, request.spec)
    return _dataset(pixels, labels, spec, chosen, request.spec, (*chosen.notes, *_notes(fitting, request)))


def _notes(fitting: bool, request: Request) -> list[str]:
    notes = []
    if request.preprocess is None:
        notes.append(
            "No preprocessing was given: pixels are scaled to 0..1. Say --mean and --std if training used any."
        )
    if fitting and (request.preprocess is None or request.preprocess.resize or request.preprocess.crop):
        notes.append("The images have the model's height and width already and were not resized or cropped again.")
    return notes


def _dataset(
    inputs: np.ndarray,
    labels: np.ndarray | None,
    preprocess: Contract | None,
    chosen: Split,
    source: str,
    notes: tuple[str, ...],
) -> Dataset:
    calibration = inputs[list(chosen.calibration)]
    evaluation = inputs[list(chosen.evaluation)]
    held_labels = None if labels is None else labels[list(chosen.evaluation)]
    return Dataset(
        Samples(calibration, None, preprocess, (), fingerprint(array_digest(calibration), None, preprocess)),
        Samples(
            evaluation, held_labels, preprocess, (), fingerprint(array_digest(evaluation), held_labels, preprocess)
        ),
        source,
        notes,
    )


def _all_of(images: Sequence[np.ndarray], size: tuple[int, int]) -> bool:
    return all(image.shape[:2] == size for image in images)


def _rgb(image: np.ndarray) -> np.ndarray:
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in (1, 3) or image.dtype != np.uint8:
        raise DataError(
            f"An image is {image.dtype} of shape {image.shape}. Allowed: uint8, height x width x 3 (RGB) or x 1."
        )
    return np.broadcast_to(image, (*image.shape[:2], 3))


def _resized(image: np.ndarray, spec: Contract) -> np.ndarray:
    from PIL import Image

    return geometry(Image.fromarray(np.ascontiguousarray(_rgb(image))), spec)


def _stacked(images: Sequence[np.ndarray], spec: str) -> np.ndarray:
    sizes = {image.shape for image in images}
    if len(sizes) > 1:
        raise DataError(f"The images of {spec} have {len(sizes)} different sizes. Give --resize and --crop.")
    return np.stack(images)
