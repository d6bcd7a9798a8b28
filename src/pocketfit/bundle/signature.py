"""The signature of a bundle: Ed25519 over the bytes of its manifest, which holds the sha256 of every file.

Source: RFC 8032, Edwards-Curve Digital Signature Algorithm, section 5.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pocketfit.bundle.keys import need_cryptography
from pocketfit.bundle.manifest import MANIFEST, SIGNATURE, Manifest
from pocketfit.errors import VerificationFailed

__all__ = ["Trust", "is_signed"]


@dataclass(frozen=True)
class Trust:
    """What has to be true of a bundle before anything in it is believed.

    Args:
        public_key: 32 bytes; its owner has to have signed the bundle. None takes an unsigned one too.
        least_release: the bundle's `release` may not be lower, so that none with known faults is brought back.
    """

    public_key: bytes | None = None
    least_release: int = 0

    def check_signature(self, path: Path, manifest: bytes) -> None:
        """Look at the signature beside a manifest.

        Args:
            path: the bundle's folder.
            manifest: the file's bytes.

        Raises:
            VerificationFailed: there is none, or it is not of this manifest and this key.
            RuntimeMissing: the package cryptography is not installed.
        """
        if self.public_key is None:
            return
        try:
            signature = (path / SIGNATURE).read_bytes()
        except OSError as error:
            raise VerificationFailed(
                f"{path} is not signed: its {SIGNATURE} cannot be read ({error.strerror}). "
                "Do not use it; get it from who signs it"
            ) from error
        if not is_signed(self.public_key, signature, manifest):
            raise VerificationFailed(
                f"the signature of {path} is not one of its {MANIFEST} by the key {self.public_key.hex()[:12]}…. "
                "Do not use the bundle: it was changed since it was signed, or signed by another"
            )

    def check_release(self, path: Path, manifest: Manifest) -> None:
        """Look at how old a bundle is.

        Raises:
            VerificationFailed: older than is allowed.
        """
        if manifest.release < self.least_release:
            raise VerificationFailed(
                f"{path} is release {manifest.release}; {self.least_release} is the least allowed. Get a newer one"
            )


def is_signed(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the owner of a key has signed a message.

    Args:
        public_key: 32 bytes.
        signature: 64 bytes; others are none.
        message: that it is of.

    Raises:
        RuntimeMissing: the package cryptography is not installed.
    """
    need_cryptography()
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
