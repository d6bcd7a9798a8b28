"""Put a finished folder at its destination: all of it or nothing, and never in the place of something else."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pocketfit.bundle.swap import swap
from pocketfit.errors import OutputError

__all__ = ["Kind", "check_place", "put"]


@dataclass(frozen=True)
class Kind:
    """What kind of folder it is, so that one may take the place of another.

    Args:
        name: such as "bundle".
        marker: the file in it that says so: JSON with a `format`, and with its other `files` by name.
        format: that the marker names.
        beside: files that may lie beside the marker, which it does not list.
    """

    name: str
    marker: str
    format: str
    beside: tuple[str, ...] = ()


def put(destination: Path, kind: Kind, fill: Callable[[Path], object]) -> Path:
    """Have a folder filled beside its destination, then move it there in one step.

    A folder of that kind that is already there stays until the new one is complete; whatever goes wrong, it is left as
    it was.

    Args:
        destination: a folder that does not exist, is empty, or is of that kind and holds nothing else.
        kind: of the folder.
        fill: writes everything into the empty folder that it is given.

    Returns:
        The destination, absolute.

    Raises:
        OutputError: the destination holds something else, or it cannot be written.
    """
    check_place(destination, kind)
    destination = destination.resolve()
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with _built_beside(destination) as building:
            fill(building)
            _flush(building)
            _publish(building, destination)
    except OSError as error:
        raise OutputError(
            f"cannot write the {kind.name} {destination}: {error.strerror or error}. Nothing was changed there; "
            "free some space, correct the permissions, or name another folder"
        ) from error
    return destination


def check_place(destination: Path, kind: Kind) -> None:
    """Find out before long work whether a folder may be put there; nothing is changed.

    Args:
        destination: as for `put`.
        kind: of the folder.

    Raises:
        OutputError: it is a file, holds a file that is not that kind's own and would be lost with the folder, or
            lies where this user may not write.
    """
    destination = destination.resolve()
    if destination.exists() and not destination.is_dir():
        raise OutputError(f"{destination} is a file; the {kind.name} is a folder: name another one")
    if stranger := _foreign_file(destination, kind):
        raise OutputError(
            f"{destination} holds {stranger}, which is not part of a {kind.name}; nothing was changed there. "
            "Name a new or empty folder, or move that file away"
        )
    home = next(folder for folder in destination.parents if folder.exists())
    if not home.is_dir() or not os.access(home, os.W_OK):
        raise OutputError(f"{home} is no folder that can be written to; correct its permissions or name another place")


def _foreign_file(destination: Path, kind: Kind) -> str | None:
    own = _own_files(destination, kind)
    files = (path.relative_to(destination).as_posix() for path in destination.rglob("*") if not path.is_dir())
    return next((name for name in files if name not in own), None)


def _own_files(folder: Path, kind: Kind) -> set[str]:
    """The files that the marker in a folder lists, of whatever schema; none when it is of another kind."""
    with contextlib.suppress(OSError, ValueError):
        data = json.loads((folder / kind.marker).read_bytes())
        if isinstance(data, dict) and data.get("format") == kind.format:
            return {kind.marker, *kind.beside, *data.get("files", ())}
    return set()


@contextlib.contextmanager
def _built_beside(destination: Path) -> Iterator[Path]:
    """Give a new folder on the destination's file system; what is in it in the end is removed."""
    _remove_abandoned(destination)
    building = destination.with_name(f".{destination.name}.{os.getpid()}.partial")
    building.mkdir()
    try:
        yield building
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _remove_abandoned(destination: Path) -> None:
    """Remove what processes that were killed while writing have left."""
    import psutil  # it ships no types

    prefix = f".{destination.name}."
    for path in destination.parent.iterdir():
        pid = path.name.removeprefix(prefix).removesuffix(".partial")
        if path.name == f"{prefix}{pid}.partial" and pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(path, ignore_errors=True)


def _publish(building: Path, destination: Path) -> None:
    if destination.exists() and any(destination.iterdir()):
        swap(building, destination)
    else:
        building.replace(destination)
    _flush_folder(destination.parent)


def _flush(root: Path) -> None:
    """Have everything on the disk before the folder appears, so that a power cut cannot leave a hollow one."""
    for folder, _, names in os.walk(root):
        for name in names:
            with (Path(folder) / name).open("rb+") as stream:
                os.fsync(stream.fileno())
        _flush_folder(Path(folder))


def _flush_folder(folder: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
