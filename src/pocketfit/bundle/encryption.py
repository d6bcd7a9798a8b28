"""Models that lie encrypted in a bundle: AES-256 in Galois counter mode, each file by itself.

A file is its nonce (12 bytes), the ciphertext and the tag (16 bytes). The bundle's id and the file's name are
authenticated with it, so files cannot be exchanged within a bundle, nor taken from another one.

Source: NIST SP 800-38D, Recommendation for Block Cipher Modes of Operation: Galois/Counter Mode, sections 7 and 8.2.2.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pocketfit.bundle.files import copy
from pocketfit.bundle.keys import need_cryptography
from pocketfit.bundle.manifest import EncryptionEntry
from pocketfit.bundle.read import Bundle
from pocketfit.errors import InputError, VerificationFailed

__all__ = ["decrypt", "decrypted", "encrypt"]

NONCE_BYTES, TAG_BYTES = 12, 16
# Files there are never on a disk; Linux has it.
MEMORY = Path("/dev/shm")


def encrypt(content: bytes, key: bytes, name: str, entry: EncryptionEntry) -> bytes:
    """A file of a bundle, encrypted under a nonce of its own.

    Args:
        content: of the file.
        key: 32 bytes.
        name: of the file, relative to the bundle.
        entry: the bundle's.

    Raises:
        RuntimeMissing: the package cryptography is not installed.
    """
    need_cryptography()
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, content, _bound_to(name, entry))


def decrypt(content: bytes, key: bytes, name: str, entry: EncryptionEntry) -> bytes:
    """What `encrypt` was given.

    Raises:
        VerificationFailed: it was encrypted under another key, for another place, or changed since.
        RuntimeMissing: the package cryptography is not installed.
    """
    need_cryptography()
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    failed = f"{name} cannot be decrypted: the key is another one, or the file belongs elsewhere. Give the bundle's key"
    if len(content) < NONCE_BYTES + TAG_BYTES:
        raise VerificationFailed(failed)
    try:
        return AESGCM(key).decrypt(content[:NONCE_BYTES], content[NONCE_BYTES:], _bound_to(name, entry))
    except InvalidTag as error:
        raise VerificationFailed(failed) from error


@contextmanager
def decrypted(bundle: Bundle, key: bytes | None) -> Iterator[Bundle]:
    """The bundle with its models decrypted, for runtimes that open files by name; itself where nothing is encrypted.

    They lie in a folder that only this user may read, in memory where the system has such a folder, and are removed in
    the end.

    Args:
        bundle: of one variant, or the first of several.
        key: 32 bytes; None where none is known.

    Raises:
        InputError: there is no key.
        VerificationFailed: the key is another one.
        RuntimeMissing: the package cryptography is not installed.
    """
    entry = bundle.manifest.encryption
    if entry is None:
        yield bundle
        return
    if key is None:
        raise InputError(f"the models in {bundle.path} are encrypted. Give --key-file, or set POCKETFIT_BUNDLE_KEY")
    with tempfile.TemporaryDirectory(prefix="pocketfit-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        others = tuple(f"{other}/" for other in bundle.manifest.variants.values() if other != ".")
        for name in bundle.manifest.files:
            if not name.startswith(others):
                copy(bundle.path / name, Path(folder) / name)
        for name in entry.files:
            path = Path(folder) / name
            path.write_bytes(decrypt(path.read_bytes(), key, name, entry))
        plain = bundle.manifest.model_copy(update={"encryption": None})
        yield replace(bundle, path=Path(folder), manifest=plain)


def _bound_to(name: str, entry: EncryptionEntry) -> bytes:
    return f"{entry.id}/{name}".encode()
