"""Samples from a folder of images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pocketfit.contract import ShorterSide
from pocketfit.data.checks import check_images
from pocketfit.data.dataset import Dataset, Request, fingerprint
from pocketfit.data.decode import decode_images
from pocketfit.data.preprocess import default_preprocess
from pocketfit.data.split import split
from pocketfit.errors import DataError
from pocketfit.types import Samples

__all__ = ["from_image_folder"]

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"})


@dataclass(frozen=True)
class _Listing:
    """The images of a folder: paths relative to it, class index of each or None, and the names of the classes."""

    paths: tuple[str, ...]
    labels: tuple[int, ...] | None
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()


def from_image_folder(folder: Path, request: Request, outputs: int | None) -> Dataset:
    """Read a folder whose sub-folders are classes, or a flat one, which has no labels.

    The index of a class is the position of its folder among all sub-folders in sorted order; empty ones count, so that
    a part of a dataset keeps the indices of the whole.

    Args:
        folder: images may lie deeper inside a class folder; hidden files and folders are left out.
        request: what was asked.
        outputs: number of the model's classes; None when unknown.

    Raises:
        DataError: the folder is empty, has one class only, or holds images that cannot be read or used.
    """
    listing = _listing(folder)
    labels = None
    if listing.labels is not None:
        labels = request.checked(np.asarray(listing.labels), str(folder), outputs)
    chosen = split([path.encode() for path in listing.paths], request.calibration, request.evaluation, str(folder))
    spec = request.preprocess or default_preprocess(request.input_shape)
    positions = [*chosen.calibration, *chosen.evaluation]
    decoded = decode_images(folder, [listing.paths[position] for position in positions], spec, request)
    check_images(decoded.pixels.shape[1:3], spec, request.input_shape, str(folder))
    held_labels = None if labels is None else labels[list(chosen.evaluation)]
    count = len(chosen.calibration)
    notes = (*listing.notes, *chosen.notes, *_notes(listing, request, outputs))
    marks = (f"{decoded.digest} first {count}", f"{decoded.digest} after {count}")
    return Dataset(
        Samples(decoded.pixels[:count], None, spec, listing.classes, fingerprint(marks[0], None, spec)),
        Samples(decoded.pixels[count:], held_labels, spec, listing.classes, fingerprint(marks[1], held_labels, spec)),
        request.spec,
        notes,
    )


def _notes(listing: _Listing, request: Request, outputs: int | None) -> list[str]:
    notes = []
    if request.preprocess is None:
        side = default_preprocess(request.input_shape).resize
        assert isinstance(side, ShorterSide)
        notes.append(
            f"No preprocessing was given: images are resized to {side.pixels} pixels, cropped to the model's input and "
            "scaled to 0..1. Say --resize, --crop, --mean and --std if training did otherwise."
        )
    if listing.labels is None:
        notes.append("The folder has no sub-folders, so there are no labels and no accuracy.")
    elif outputs is not None and len(listing.classes) < outputs:
        notes.append(
            f"There are {len(listing.classes)} class folders for {outputs} outputs of the model: "
            "they are taken for its first classes, in sorted order."
        )
    return notes


def _listing(folder: Path) -> _Listing:
    classes = sorted(child.name for child in folder.iterdir() if child.is_dir() and not _hidden(child))
    beside = [child.name for child in folder.iterdir() if child.is_file() and _is_image(child)]
    if not classes:
        return _flat(folder, beside)
    found = {name: _images_in(folder, name) for name in classes}
    filled = [name for name, paths in found.items() if paths]
    if not filled:
        raise DataError(f"{folder} holds no images in its sub-folders. {_LAYOUT}")
    if len(filled) == 1:
        raise DataError(f"{folder} holds images of one class only, {filled[0]}; an accuracy needs at least two.")
    paths = tuple(path for name in classes for path in found[name])
    labels = tuple(index for index, name in enumerate(classes) for _ in found[name])
    notes = (f"{len(beside)} images beside the class folders were left out.",) if beside else ()
    return _Listing(paths, labels, tuple(classes), notes)


def _flat(folder: Path, names: list[str]) -> _Listing:
    if not names:
        raise DataError(f"{folder} holds no images. {_LAYOUT}")
    return _Listing(tuple(sorted(names)), None, ())


_LAYOUT = f"Give a folder with one sub-folder a class, of images ({', '.join(sorted(SUFFIXES))})."


def _images_in(folder: Path, name: str) -> list[str]:
    inside = sorted((folder / name).rglob("*"))
    images = [path.relative_to(folder) for path in inside if path.is_file() and _is_image(path)]
    return [path.as_posix() for path in images if not any(_hidden(Path(part)) for part in path.parts)]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not _hidden(path)


def _hidden(path: Path) -> bool:
    return path.name.startswith((".", "__MACOSX"))
