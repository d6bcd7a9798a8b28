"""A bundle as one file, for a download: a zip archive in which nothing is compressed, so that any language reads it.

An archive is not trusted: names that lead out, entries that overlap and files that the manifest does not list are
refused, and what comes out is checked as any bundle before it takes its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZIP_STORED, BadZipFile, LargeZipFile, ZipFile, ZipInfo

from pocketfit.bundle.manifest import MANIFEST, SIGNATURE, inside
from pocketfit.bundle.place import put
from pocketfit.bundle.read import Bundle, read_bundle
from pocketfit.bundle.signature import Trust
from pocketfit.bundle.write import BUNDLE
from pocketfit.errors import InputError, OutputError

__all__ = ["pack_bundle", "unpack_bundle"]


def pack_bundle(bundle: Bundle, destination: Path) -> None:
    """Write a bundle as one archive, the same bytes for the same bundle; a file that is there is replaced.

    Args:
        bundle: with its signature, if it has one.
        destination: the file.

    Raises:
        OutputError: it cannot be written, or has 4 GB or more.
    """
    signature = [SIGNATURE] if (bundle.path / SIGNATURE).exists() else []
    building = destination.with_name(f".{destination.name}.partial")
    try:
        with ZipFile(building, "w", ZIP_STORED, allowZip64=False) as archive:
            for name in (MANIFEST, *signature, *sorted(bundle.manifest.files)):
                archive.writestr(ZipInfo(name), (bundle.path / name).read_bytes())
        building.replace(destination)
    except (OSError, LargeZipFile) as error:
        raise OutputError(
            f"{destination} cannot be written: {error}. Name another place, or ship the folder"
        ) from error
    finally:
        building.unlink(missing_ok=True)


def unpack_bundle(archive: Path, destination: Path, trust: Trust | None = None) -> Path:
    """Write the bundle that is in an archive: all of it or nothing.

    Args:
        archive: the file, from anywhere.
        destination: as for `write_bundle`.
        trust: what has to be true of the bundle; None for nothing.

    Returns:
        The destination, absolute.

    Raises:
        InputError: it is no archive of a bundle, or one whose files would not stay in it.
        OutputError: the destination holds something else, or it cannot be written.
        VerificationFailed: a file is missing or not the one that was written, or what is demanded is not true.
    """
    with _opened(archive) as opened:
        entries = _checked(opened, archive)
        return put(destination, BUNDLE, lambda folder: _fill(folder, opened, entries, archive, trust))


@contextmanager
def _opened(path: Path) -> Iterator[ZipFile]:
    try:
        with ZipFile(path) as archive:
            yield archive
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}). Name a file of `pocketfit bundle pack`") from error
    except (BadZipFile, EOFError, NotImplementedError, ValueError) as error:
        raise InputError(f"{path} is no archive of a bundle, or a damaged one ({error}). Get it again") from error


def _checked(archive: ZipFile, path: Path) -> list[ZipInfo]:
    entries = archive.infolist()
    for entry in entries:
        try:
            inside(entry.filename)
        except ValueError as error:
            raise InputError(f"{path} would write outside of its folder: {error}. Do not use it") from error
        if entry.compress_type != ZIP_STORED or entry.flag_bits & 1:
            raise InputError(f"{path} has {entry.filename} compressed. `pocketfit bundle pack` compresses nothing")
    if len({entry.filename for entry in entries}) < len(entries):
        raise InputError(f"{path} has a file twice. Do not use it")
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise InputError(f"{path} has files that overlap, and would fill the disk. Do not use it")
    return entries


def _fill(folder: Path, archive: ZipFile, entries: list[ZipInfo], path: Path, trust: Trust | None) -> None:
    for entry in entries:
        target = folder / entry.filename
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(archive.read(entry))
    listed = {MANIFEST, SIGNATURE, *read_bundle(folder, trust).manifest.files}
    if foreign := sorted({entry.filename for entry in entries} - listed):
        raise InputError(f"{path} has {foreign[0]}, which is not part of the bundle. Do not use it")
