"""A bundle that is read is written again with something changed: its files, and a manifest that lists them anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pocketfit.bundle.files import copy, list_files, write_text
from pocketfit.bundle.manifest import MANIFEST, SCHEMA_VERSION, Manifest
from pocketfit.bundle.read import CONTRACTS_SINCE, Bundle
from pocketfit.errors import InputError

__all__ = ["check_rewritable", "copy_files", "write_manifest"]


def check_rewritable(bundle: Bundle) -> None:
    """Refuse a bundle that says too little to become one of today's schema.

    Raises:
        InputError: the manifest is of schema 1.
    """
    if bundle.manifest.schema_version < CONTRACTS_SINCE:
        raise InputError(f"{bundle.path} has manifest schema 1; fit the model again with this Pocketfit")


def copy_files(bundle: Bundle, root: Path) -> None:
    """Everything but the manifest."""
    for name in bundle.manifest.files:
        copy(bundle.path / name, root / name)


def write_manifest(root: Path, manifest: Manifest, changes: dict[str, Any]) -> None:
    """Write the manifest of what lies in a folder now, with these fields changed."""
    changed = manifest.model_copy(update={"schema_version": SCHEMA_VERSION, "files": list_files(root), **changes})
    write_text(root, MANIFEST, Manifest.model_validate(changed.model_dump()).to_json())
