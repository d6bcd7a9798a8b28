"""Decode the images of a folder once, into a cache that later runs map into memory."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pocketfit.contract import Contract, contract_to_json
from pocketfit.data.dataset import Request
from pocketfit.data.preprocess import geometry
from pocketfit.errors import DataError, OutputError

__all__ = ["Decoded", "decode_images"]

# Decoding leaves Python while it works; more threads than this slow down whatever else runs on a small machine.
THREADS = 2
# The fields of a contract that pixels depend on before the arithmetic.
GEOMETRY = ("version", "orientation", "resize", "kernel", "antialias", "crop")


@dataclass(frozen=True)
class Decoded:
    """Images after the geometry: uint8 N×H×W×3, mapped from the cache, and the sha256 of their pixels."""

    pixels: np.ndarray
    digest: str


def decode_images(folder: Path, paths: Sequence[str], spec: Contract, request: Request) -> Decoded:
    """Decode images, or take them from the cache if neither they nor the geometry changed.

    Args:
        folder: what `paths` are relative to.
        paths: in the order of the result.
        spec: its geometry is applied.
        request: its cache is used, and its progress told.

    Raises:
        DataError: images that cannot be read, or of different sizes after the geometry.
        OutputError: the cache cannot be written.
    """
    target = request.cache / f"images-{_key(folder, paths, spec)}.npy"
    return _cached(target) or _decoded(folder, paths, spec, request, target)


def _key(folder: Path, paths: Sequence[str], spec: Contract) -> str:
    digest = hashlib.sha256(json.dumps([_made_by(spec), str(folder.resolve())]).encode())
    for path in paths:
        status = (folder / path).stat()
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:32]


def _made_by(spec: Contract) -> dict[str, object]:
    """What decides which pixels come of a file: the geometry, its definition, and the decoder."""
    import PIL

    fields = json.loads(contract_to_json(spec))
    return {"pillow": PIL.__version__, **{name: fields[name] for name in GEOMETRY}}


def _cached(target: Path) -> Decoded | None:
    try:
        digest = _digest_file(target).read_text(encoding="ascii")
        return Decoded(np.load(target, mmap_mode="r"), digest) if re.fullmatch("[0-9a-f]{64}", digest) else None
    # Missing, or damaged by whatever happened to the disk: decoding again is always right.
    except (OSError, ValueError, EOFError):
        return None


def _digest_file(target: Path) -> Path:
    return target.with_suffix(".sha256")


def _decoded(folder: Path, paths: Sequence[str], spec: Contract, request: Request, target: Path) -> Decoded:
    temporary = target.with_suffix(f".{os.getpid()}.tmp")
    try:
        request.cache.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                digest = _write(file, _images(folder, paths, spec), len(paths), request)
            _digest_file(target).write_text(digest, encoding="ascii")
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"The cache {request.cache} cannot be written: {error}. Free space there, or choose another folder for it."
        ) from error
    return Decoded(np.load(target, mmap_mode="r"), digest)


@dataclass(frozen=True)
class _Unreadable:
    """An image that cannot be used, and why."""

    path: str
    reason: str


def _images(folder: Path, paths: Sequence[str], spec: Contract) -> Iterator[np.ndarray | _Unreadable]:
    with ThreadPoolExecutor(THREADS) as pool:
        yield from pool.map(lambda path: _open(folder, path, spec), paths)


def _open(folder: Path, path: str, spec: Contract) -> np.ndarray | _Unreadable:
    from PIL import Image

    try:
        with Image.open(folder / path) as image:
            return geometry(image, spec)
    # A damaged image makes PIL raise anything from SyntaxError to struct.error.
    except Exception as error:
        return _Unreadable(path, str(error) or type(error).__name__)


def _write(file: BinaryIO, images: Iterable[np.ndarray | _Unreadable], total: int, request: Request) -> str:
    """Write the images as `.npy`, one after the other, and return the digest of what was written.

    Plain writes rather than a mapped file: on a full disk they fail with an error, a mapped file with a crash.
    """
    digest, shape, failures = hashlib.sha256(), None, []
    for done, image in enumerate(images, start=1):
        if isinstance(image, _Unreadable):
            failures.append(image)
        elif not failures:
            if shape is None:
                shape = image.shape
                _write_header(file, (total, *shape))
            _check_size(image.shape, shape)
            digest.update(image.data)
            file.write(image.data)
        request.report(done, total)
    _check_readable(failures, total)
    return digest.hexdigest()


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _check_size(shape: tuple[int, ...], first: tuple[int, ...]) -> None:
    if shape != first:
        raise DataError(
            f"After the preprocessing one image has {first[0]}x{first[1]} pixels and another {shape[0]}x{shape[1]}. "
            "Give --crop, so that all have the size of the model's input."
        )


def _check_readable(failures: Sequence[_Unreadable], total: int) -> None:
    if failures:
        shown = "; ".join(f"{failure.path}: {failure.reason}" for failure in failures[:3])
        more = f"; and {len(failures) - 3} more" if len(failures) > 3 else ""
        raise DataError(f"{len(failures)} of {total} images cannot be used: {shown}{more}. Mend or remove them.")
