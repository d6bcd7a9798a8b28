"""Files in a bundle's folder."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

from pocketfit.bundle.manifest import MANIFEST, SCHEMA_VERSION, FileEntry, Manifest

__all__ = ["copy", "copy_files", "list_files", "write_changed", "write_text"]


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
    with path.open("rb") as stream:
        return FileEntry(sha256=hashlib.file_digest(stream, "sha256").hexdigest(), bytes=path.stat().st_size)


def copy_files(source: Path, manifest: Manifest, root: Path) -> None:
    """Every file that a bundle's manifest lists; neither the manifest nor its signature."""
    for name in manifest.files:
        copy(source / name, root / name)


def write_changed(root: Path, manifest: Manifest, changes: dict[str, Any]) -> bytes:
    """Write the manifest of a bundle whose files have changed, and return what was written.

    Args:
        root: its folder, in which all files are.
        manifest: as it was.
        changes: fields of it.
    """
    changed = manifest.model_copy(update={"schema_version": SCHEMA_VERSION, "files": list_files(root), **changes})
    write_text(root, MANIFEST, Manifest.model_validate(changed.model_dump()).to_json())
    return (root / MANIFEST).read_bytes()
