"""Files in a bundle's folder."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from pocketfit.bundle.manifest import FileEntry

__all__ = ["copy", "list_files", "sha256_of", "write_text"]


def copy(source: Path, destination: Path) -> None:
    """Contents alone: whether files may be read by others is for the bundle's folder to say."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, destination, copy_function=shutil.copyfile)
    else:
        shutil.copyfile(source, destination)


def write_text(root: Path, name: str, text: str | None) -> str | None:
    """Write a text and return its name; neither where there is none."""
    if text is None:
        return None
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text(text, encoding="utf-8", newline="\n")
    return name


def list_files(root: Path) -> dict[str, FileEntry]:
    """Every file below a folder, by its name relative to it."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): _file_entry(path) for path in files}


def _file_entry(path: Path) -> FileEntry:
    return FileEntry(sha256=sha256_of(path), bytes=path.stat().st_size)


def sha256_of(path: Path) -> str:
    """Of a file's content, as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
