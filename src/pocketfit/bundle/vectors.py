"""Test vectors of signatures and of encryption, for other languages to replay.

The committed ones hold those of RFC 8032, section 7.1, and the 256 bit ones of the GCM specification (McGrew, Viega:
The Galois/Counter Mode of Operation, appendix B), then random ones, each with faults of every kind.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pocketfit.bundle.signature import is_signed

__all__ = ["COMMITTED", "write_integrity_vectors"]

COMMITTED = tuple(Path(__file__).parent / "integrity" / f"{step}.json" for step in ("aes_gcm", "ed25519"))
Case = dict[str, Any]

# Order of Ed25519's base point.
ORDER = 2**252 + 27742317777372353535851937790883648493
SECRETS = (
    ("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", ""),
    ("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "72"),
    ("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "af82"),
)
GCM_KEY = "feffe9928665731c6d6a8f9467308308" * 2
GCM_NONCE = "cafebabefacedbaddecaf888"
GCM_TEXT = (
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"
)
SEALED = (
    ("00" * 32, "00" * 12, "", ""),
    ("00" * 32, "00" * 12, "", "00" * 16),
    (GCM_KEY, GCM_NONCE, "", GCM_TEXT),
    (GCM_KEY, GCM_NONCE, "feedfacedeadbeeffeedfacedeadbeefabaddad2", GCM_TEXT[:-8]),
)
# Around a block of AES; around the 128 bytes of SHA-512 and the 16 at their end that its padding takes, without and
# with the 64 bytes that stand before a signed message.
LENGTHS = (0, 1, 15, 16, 17, 31, 33, 47, 48, 52, 55, 56, 63, 64, 65, 111, 112, 119, 120, 127, 128, 129, 300)


def write_integrity_vectors(folder: Path, *, count: int, seed: int) -> tuple[Path, ...]:
    """Write `aes_gcm.json` and `ed25519.json`, the same bytes for the same arguments.

    Args:
        folder: made if it is not there.
        count: random signatures and random texts; each stands for several cases.
        seed: of their content.

    Returns:
        The files.

    Raises:
        RuntimeMissing: the package cryptography is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = random.Random(seed)
    steps = {"aes_gcm": _texts(source, count), "ed25519": _signatures(source, count)}
    return tuple(_write(folder / f"{step}.json", step, cases) for step, cases in steps.items())


def _write(path: Path, step: str, cases: Iterator[Case]) -> Path:
    content = {"version": 1, "step": step, "cases": list(cases)}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8", newline="\n")
    return path


def _signatures(source: random.Random, count: int) -> Iterator[Case]:
    known = [(bytes.fromhex(secret), bytes.fromhex(message)) for secret, message in SECRETS]
    some = [(source.randbytes(32), source.randbytes(LENGTHS[i % len(LENGTHS)])) for i in range(count)]
    for secret, message in known + some:
        yield from _signature(source, secret, message)


def _signature(source: random.Random, secret: bytes, message: bytes) -> Iterator[Case]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.from_private_bytes(secret)
    key, signature = private.public_key().public_bytes_raw(), private.sign(message)
    s = int.from_bytes(signature[32:], "little")
    yield _signed(key, signature, message)
    yield _signed(key, _spoilt(source, signature[:32]) + signature[32:], message)
    yield _signed(key, signature[:32] + _spoilt(source, signature[32:]), message)
    yield _signed(key, signature, message + b"\0")
    yield _signed(_spoilt(source, key), signature, message)
    # The same number modulo the order: a second signature of the same message, if it were taken.
    yield _signed(key, signature[:32] + (s + ORDER).to_bytes(32, "little"), message)
    yield _signed(key, signature[:-1], message)
    yield _signed(key, signature + b"\0", message)


def _signed(key: bytes, signature: bytes, message: bytes) -> Case:
    valid = is_signed(key, signature, message)
    return {"public_key": key.hex(), "signature": signature.hex(), "message": message.hex(), "valid": valid}


def _texts(source: random.Random, count: int) -> Iterator[Case]:
    known = [tuple(map(bytes.fromhex, case)) for case in SEALED]
    some = [
        (
            source.randbytes(32),
            source.randbytes(12),
            source.randbytes(i % 40),
            source.randbytes(LENGTHS[i % len(LENGTHS)]),
        )
        for i in range(count)
    ]
    for key, nonce, bound_to, text in [*known, *some]:
        yield from _text(source, key, nonce, bound_to, text)


def _text(source: random.Random, key: bytes, nonce: bytes, bound_to: bytes, text: bytes) -> Iterator[Case]:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    sealed = nonce + AESGCM(key).encrypt(nonce, text, bound_to)
    yield _sealed(key, sealed, bound_to, text)
    yield _sealed(key, _spoilt(source, sealed), bound_to, None)
    yield _sealed(_spoilt(source, key), sealed, bound_to, None)
    yield _sealed(key, sealed, bound_to + b"\0", None)
    yield _sealed(key, sealed[:-1], bound_to, None)
    yield _sealed(key, sealed[:27], bound_to, None)


def _sealed(key: bytes, sealed: bytes, bound_to: bytes, text: bytes | None) -> Case:
    """A text of None is one that must not come out."""
    plain = None if text is None else text.hex()
    return {"key": key.hex(), "sealed": sealed.hex(), "bound_to": bound_to.hex(), "text": plain}


def _spoilt(source: random.Random, data: bytes) -> bytes:
    """With another bit somewhere."""
    at = source.randrange(8 * len(data))
    return (int.from_bytes(data, "little") ^ 1 << at).to_bytes(len(data), "little")
