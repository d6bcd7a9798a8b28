"""A folder as bytes, for hosts that do not see it."""

from __future__ import annotations

import hashlib
import io
import tempfile
import zipfile
from functools import cache
from pathlib import Path

__all__ = ["pack", "unpack", "unpacked"]


def pack(folder: Path) -> bytes:
    """Every file in a folder; equal files give equal bytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.writestr(zipfile.ZipInfo(path.relative_to(folder).as_posix()), path.read_bytes())
    return content.getvalue()


def unpack(content: bytes, folder: Path) -> None:
    """Write the files of `pack` into an existing folder."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)


def unpacked(content: bytes) -> Path:
    """The files in a folder that lives as long as this process; the same one for the same bytes."""
    folder = _folder(hashlib.sha256(content).hexdigest())
    if not any(folder.iterdir()):
        unpack(content, folder)
    return folder


# The folders go with the process, which keeps the objects that delete them.
_folders: list[tempfile.TemporaryDirectory[str]] = []


@cache
def _folder(digest: str) -> Path:
    _folders.append(tempfile.TemporaryDirectory(prefix=f"pocketfit-{digest[:8]}-", ignore_cleanup_errors=True))
    return Path(_folders[-1].name)
