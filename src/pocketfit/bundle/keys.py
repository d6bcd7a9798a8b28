"""Keys: made, written and read. The private one and the one of models never lie in a bundle."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from pocketfit.errors import InputError, OutputError, RuntimeMissing

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = [
    "KEY_BYTES",
    "KEY_VARIABLE",
    "need_cryptography",
    "read_model_key",
    "read_private_key",
    "read_public_key",
    "write_keys",
]

# Of an Ed25519 public key and of an AES-256 key alike.
KEY_BYTES = 32
KEY_VARIABLE = "POCKETFIT_BUNDLE_KEY"
PRIVATE, PUBLIC, MODELS = "private.pem", "public.txt", "models.txt"


def write_keys(folder: Path, *, models: bool = False) -> tuple[Path, ...]:
    """Make keys: `private.pem` to sign with, `public.txt` for the app, and `models.txt` to encrypt with if wanted.

    Args:
        folder: made if it is not there; it must hold none of these files.
        models: whether to make a key for models.

    Returns:
        The files; none but the public key may be read by other users of this machine.

    Raises:
        OutputError: one of the files is there already, or cannot be written.
        RuntimeMissing: the package cryptography is not installed.
    """
    need_cryptography()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private = Ed25519PrivateKey.generate()
    content = {
        PRIVATE: private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        PUBLIC: _line(private.public_key().public_bytes_raw()),
    }
    if models:
        content[MODELS] = _line(secrets.token_bytes(KEY_BYTES))
    there = [name for name in content if (folder / name).exists()]
    if there:
        raise OutputError(f"{folder} holds {there[0]} already, and a lost key cannot be had again. Name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tuple(_write(folder / name, data) for name, data in content.items())
    except OSError as error:
        raise OutputError(f"the keys cannot be written to {folder} ({error.strerror}). Name another folder") from error


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """Read the key that signs: PEM, as `write_keys` or `openssl genpkey -algorithm ed25519` writes it.

    Raises:
        InputError: the file cannot be read, or holds no such key.
        RuntimeMissing: the package cryptography is not installed.
    """
    need_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_content(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError(f"{path} holds no private key in PEM without a password: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"{path} holds a key of another kind than Ed25519. `pocketfit bundle keygen` makes one")
    return key


def read_public_key(text: str) -> bytes:
    """The 32 bytes of a public key.

    Args:
        text: 64 hexadecimal digits, or the file that holds them.

    Raises:
        InputError: it is neither.
    """
    return _digits(text) or _from_file(Path(text), "public key")


def read_model_key(path: Path | None) -> bytes | None:
    """The 32 bytes of the key that models are encrypted with; None where there is none.

    Args:
        path: a file of 64 hexadecimal digits; None for the environment variable `POCKETFIT_BUNDLE_KEY`.

    Raises:
        InputError: there are no 64 hexadecimal digits.
    """
    if path is not None:
        return _from_file(path, "key of models")
    text = os.environ.get(KEY_VARIABLE)
    if not text:
        return None
    if key := _digits(text):
        return key
    raise InputError(f"{KEY_VARIABLE} does not hold {2 * KEY_BYTES} hexadecimal digits. Correct or unset it")


def need_cryptography() -> None:
    """See that signatures and ciphers are at hand.

    Raises:
        RuntimeMissing: they are not.
    """
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        raise RuntimeMissing(
            "keys, signatures and encryption need the package cryptography. pip install 'pocketfit[signing]'"
        ) from error


def _from_file(path: Path, what: str) -> bytes:
    if key := _digits(_content(path).decode("ascii", "replace")):
        return key
    raise InputError(f"{path} is no {what}: {2 * KEY_BYTES} hexadecimal digits. `pocketfit bundle keygen` writes one")


def _digits(text: str) -> bytes | None:
    digits = text.strip()
    if len(digits) != 2 * KEY_BYTES or any(sign not in "0123456789abcdefABCDEF" for sign in digits):
        return None
    return bytes.fromhex(digits)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"the key {path} cannot be read ({error.strerror}). Name the file that holds it") from error


def _line(key: bytes) -> bytes:
    return f"{key.hex()}\n".encode()


def _write(path: Path, data: bytes) -> Path:
    """Never readable by others, not even for a moment."""
    mode = 0o644 if path.name == PUBLIC else 0o600
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
        stream.write(data)
    return path
