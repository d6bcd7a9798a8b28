"""Image files as the numbers that a model takes, and its answers as image files; band by band, however large."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pocketfit.contract import Color, Contract
from pocketfit.data.preprocess import arithmetic, geometry
from pocketfit.errors import DataError, ModelError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["check_channels", "read_numbers", "write_numbers"]

ARRAY = ".npy"
PICTURE_CHANNELS = (1, 3)
# Rows in floating point at once: of a picture of 10,000 columns some 30 MB.
BAND = 256
WHITE = 255


def check_channels(path: Path, channels: int) -> None:
    """Refuse a picture of an answer that is none.

    Args:
        path: of the file that is to be written.
        channels: of the answer.

    Raises:
        OutputError: saying which file can hold it.
    """
    if path.suffix != ARRAY and channels not in PICTURE_CHANNELS:
        raise OutputError(f"The answer has {channels} channels, and a picture has 1 or 3. Write it as {ARRAY}.")


def read_numbers(path: Path, channels: int, spec: Contract, out: Path) -> tuple[int, int]:
    """Turn a picture of any size into the numbers that the model takes; it keeps its size.

    Args:
        path: of a picture, turned as its EXIF orientation says; or of an `.npy` file with these very numbers, C×H×W or
            1×C×H×W.
        channels: that the model takes.
        spec: its `color`, `scale`, `mean` and `std` are used.
        out: `.npy` file to be written, float32 1×C×H×W.

    Returns:
        Height and width.

    Raises:
        DataError: it cannot be read, or has other channels.
    """
    if path.suffix == ARRAY:
        return _copy(_array(path, channels), out)
    pixels = _pixels(path)
    given = 1 if spec.color is Color.GRAY else 3
    if given != channels:
        raise DataError(
            f"The model takes {channels} channels, and a picture in {spec.color} has {given}. Give --color, or the "
            f"numbers themselves as an {ARRAY} file."
        )
    shape = (1, channels, *pixels.shape[:2])
    _write(out, shape, (arithmetic(pixels[None, rows], spec) for rows in _bands(len(pixels))))
    return pixels.shape[0], pixels.shape[1]


def write_numbers(answer: np.ndarray, spec: Contract, channels: int, out: Path) -> None:
    """Write what a model answered: the numbers themselves, or a picture.

    An answer with as many channels as the input is in the input's units, and the preprocessing is undone; any other is
    a map from 0, black, to 1, white.

    Args:
        answer: float32 1×D×H×W; may be memory-mapped.
        spec: of the input.
        channels: of the input.
        out: `.png` or `.npy`.

    Raises:
        ModelError: a number of a picture is not finite.
    """
    from PIL import Image

    if out.suffix == ARRAY:
        _copy(answer, out)
        return
    depth, height, width = answer.shape[1:]
    pixels = np.empty((height, width, depth), dtype=np.uint8)
    for rows in _bands(height):
        pixels[rows] = _as_pixels(answer[0, :, rows], spec if depth == channels else None)
    Image.fromarray(pixels[..., 0] if depth == 1 else pixels).save(out)


def _as_pixels(numbers: np.ndarray, spec: Contract | None) -> np.ndarray:
    """uint8 H×W×D of D×H×W numbers, which the preprocessing of the input has made where it is given."""
    if not np.isfinite(numbers).all():
        raise ModelError("The model answers NaN or infinity, which no picture shows. Write the answer as .npy to look.")
    values = numbers.transpose(1, 2, 0)
    if spec is None:
        values = values * WHITE
    else:
        values = (values * np.asarray(spec.std, np.float32) + np.asarray(spec.mean, np.float32)) / spec.scale
        values = values[..., ::-1] if spec.color is Color.BGR else values
    pixels: np.ndarray = np.rint(np.clip(values, 0, WHITE)).astype(np.uint8)
    return pixels


def _pixels(path: Path) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return geometry(image, Contract())
    # A damaged image makes PIL raise anything from SyntaxError to struct.error.
    except Exception as error:
        raise DataError(f"{path} is not a picture that can be read: {error}. Give a PNG or JPEG file.") from error


def _array(path: Path, channels: int) -> np.ndarray:
    try:
        values: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no {ARRAY} file of numbers: {error}. Write it with numpy.save.") from error
    whole = values[None] if values.ndim == 3 else values
    if whole.ndim != 4 or whole.shape[:2] != (1, channels) or not np.issubdtype(values.dtype, np.floating):
        shape = "x".join(str(size) for size in values.shape)
        raise DataError(f"{path} holds {values.dtype} {shape}; the model takes floats {channels} x height x width.")
    return whole


def _copy(values: np.ndarray, out: Path) -> tuple[int, int]:
    _write(out, values.shape, (values[:, :, rows] for rows in _bands(values.shape[2])))
    return values.shape[2], values.shape[3]


def _write(path: Path, shape: tuple[int, ...], bands: Iterable[np.ndarray]) -> None:
    """Write the bands of an array, each to its place in every channel.

    Plain writes rather than a mapped file: on a full disk they fail with an error, a mapped file with a crash.
    """
    height, width = shape[2:]
    with path.open("wb") as stream:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        start, top = stream.tell(), 0
        for band in bands:
            for channel, rows in enumerate(band[0]):
                stream.seek(start + 4 * width * (channel * height + top))
                stream.write(np.ascontiguousarray(rows, dtype="<f4").data)
            top += band.shape[2]


def _bands(height: int) -> Iterator[slice]:
    return (slice(top, top + BAND) for top in range(0, height, BAND))
