"""Samples from an `.npz` file."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from pocketfit.data.arrays import from_floats, from_images
from pocketfit.data.dataset import Dataset, Request, named
from pocketfit.data.split import split
from pocketfit.errors import DataError

__all__ = ["from_npz"]


def from_npz(path: Path, request: Request, outputs: int | None) -> Dataset:
    """Read `x`, and `y` where it is there.

    Args:
        path: `x` is uint8 N×H×W×3 (or ×1, or N×H×W) or float N×(model input shape); `y` N×…, classes of
            length N where the request does not say otherwise. For a model with several inputs, an array for each under
            its name, float N×(its shape), in place of `x`.
        request: what was asked.
        outputs: number of the model's classes; None when unknown.

    Raises:
        DataError: the file is missing or corrupt, holds pickled objects, or not what the model needs.
    """
    x, y = _read(path, request)
    if y is not None and y.shape[:1] != x.shape[:1]:
        raise DataError(f"{path} holds {len(x)} samples in x but y has the shape {y.shape}; give one label a sample.")
    labels = None if y is None or not len(y) else request.checked(y, str(path), outputs)
    keys = [f"{position} ".encode() + np.ascontiguousarray(sample).tobytes() for position, sample in enumerate(x)]
    chosen = split(keys, request.calibration, request.evaluation, str(path))
    if np.issubdtype(x.dtype, np.floating):
        return from_floats(x, labels, chosen, request)
    if x.dtype == np.uint8:
        return from_images(list(x), labels, chosen, request)
    raise DataError(f"x in {path} is {x.dtype}. Allowed: uint8 images N x H x W x 3, or float32 inputs of the model.")


def _read(path: Path, request: Request) -> tuple[np.ndarray, np.ndarray | None]:
    if not path.is_file():
        raise DataError(f"{path} is not a file. Give the data as a path from {Path.cwd()}.")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return _arrays(archive, path, request)
    # numpy reports pickled objects and damaged headers alike as ValueError.
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read: {error}. Write it with numpy.savez(path, x=..., y=...), of numbers only: "
            "Pocketfit never unpickles objects."
        ) from error


def _arrays(archive: np.lib.npyio.NpzFile, path: Path, request: Request) -> tuple[np.ndarray, np.ndarray | None]:
    if request.several:
        return request.rows(_of_inputs(archive, path, request)), archive.get("y")
    if "x" not in archive:
        raise DataError(
            f"{path} holds {', '.join(archive.files) or 'nothing'}, but no x. Name the samples x, labels y."
        )
    x = archive["x"]
    if x.ndim == 0:
        raise DataError(f"x in {path} is a single number; give an array with the samples along its first axis.")
    return x, archive.get("y")


def _of_inputs(archive: np.lib.npyio.NpzFile, path: Path, request: Request) -> list[np.ndarray]:
    missing = [given.name for given in request.inputs if given.name not in archive]
    if missing:
        raise DataError(
            f"{path} holds {', '.join(archive.files) or 'nothing'}, but no {', '.join(missing)}. The model has "
            f"{len(request.inputs)} inputs: {named(request.inputs)}. Give an array for each under its name, and y."
        )
    return [np.atleast_1d(archive[given.name]) for given in request.inputs]
