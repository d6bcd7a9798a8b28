"""Sign a bundle, and encrypt the models in it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pocketfit.bundle.encryption import encrypt
from pocketfit.bundle.files import copy_files, write_changed
from pocketfit.bundle.manifest import MANIFEST, SIGNATURE, EncryptionEntry, Manifest
from pocketfit.bundle.place import put
from pocketfit.bundle.read import CONTRACTS_SINCE, Bundle
from pocketfit.bundle.write import BUNDLE
from pocketfit.errors import InputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["encrypt_bundle", "sign_bundle"]


def sign_bundle(bundle: Bundle, key: Ed25519PrivateKey, release: int, destination: Path) -> Path:
    """Write the bundle again with its release number and a signature.

    Args:
        bundle: that is to be shipped; afterwards any change to it breaks the signature.
        key: the private one.
        release: 1 and more, not below the one that the bundle has.
        destination: as for `write_bundle`; it may be the bundle's own folder.

    Returns:
        The destination, absolute.

    Raises:
        InputError: the release goes back, or the manifest is of schema 1.
        OutputError: the destination holds something else, or it cannot be written.
    """
    least = max(1, bundle.manifest.release)
    if release < least:
        raise InputError(
            f"release {release} is too low: {bundle.path} has {bundle.manifest.release}, and releases count up from 1. "
            f"Give {least} or more"
        )
    _check_schema(bundle)

    def fill(root: Path) -> None:
        copy_files(bundle.path, bundle.manifest, root)
        content = write_changed(root, bundle.manifest, {"release": release})
        (root / SIGNATURE).write_bytes(key.sign(content))

    return put(destination, BUNDLE, fill)


def encrypt_bundle(bundle: Bundle, key: bytes, destination: Path) -> Path:
    """Write the bundle again with the files of every artifact encrypted; a signature that it had is left out.

    Args:
        bundle: its variants are encrypted with it.
        key: 32 bytes.
        destination: as for `write_bundle`; it may be the bundle's own folder.

    Returns:
        The destination, absolute.

    Raises:
        InputError: it is encrypted already, or the manifest is of schema 1.
        OutputError: the destination holds something else, or it cannot be written.
        RuntimeMissing: the package cryptography is not installed.
    """
    if any(one.manifest.encryption is not None for one in (bundle, *bundle.others.values())):
        raise InputError(f"{bundle.path} is encrypted already. Begin from the bundle that was not")
    _check_schema(bundle)

    def fill(root: Path) -> None:
        copy_files(bundle.path, bundle.manifest, root)
        for name, variant in bundle.others.items():
            folder = root / bundle.manifest.variants[name]
            (folder / MANIFEST).unlink()
            _encrypt(folder, variant.manifest, key)
        _encrypt(root, bundle.manifest, key)

    return put(destination, BUNDLE, fill)


def _check_schema(bundle: Bundle) -> None:
    if bundle.manifest.schema_version < CONTRACTS_SINCE:
        raise InputError(f"{bundle.path} has manifest schema 1; fit the model again with this Pocketfit")


def _encrypt(root: Path, manifest: Manifest, key: bytes) -> None:
    names = tuple(sorted(_model_files(manifest)))
    entry = EncryptionEntry(algorithm="AES-256-GCM", id=secrets.token_hex(16), files=names)
    for name in names:
        path = root / name
        path.write_bytes(encrypt(path.read_bytes(), key, name, entry))
    write_changed(root, manifest, {"encryption": entry})


def _model_files(manifest: Manifest) -> Iterator[str]:
    """Files of artifacts, of which some are named by their folder."""
    named = tuple(name for artifact in manifest.artifacts for name in artifact.files)
    folders = tuple(f"{name}/" for name in named)
    return (name for name in manifest.files if name in named or name.startswith(folders))
