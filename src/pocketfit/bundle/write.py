"""Put a bundle at its destination: all of it or nothing."""

from __future__ import annotations

from pathlib import Path

from pocketfit.bundle.contents import Contents, fill
from pocketfit.bundle.manifest import FORMAT, MANIFEST, SIGNATURE
from pocketfit.bundle.place import Kind, check_place, put

__all__ = ["Contents", "check_destination", "write_bundle"]

BUNDLE = Kind("bundle", MANIFEST, FORMAT, beside=(SIGNATURE,))


def write_bundle(contents: Contents, destination: Path) -> Path:
    """Write the bundle beside its destination, then move it there in one step.

    A bundle that is already there stays until the new one is complete; whatever goes wrong, it is left as it was.

    Args:
        contents: what goes into it.
        destination: a folder that does not exist, is empty, or holds a bundle and nothing else.

    Returns:
        The destination, absolute.

    Raises:
        OutputError: the destination holds something else, or it cannot be written.
    """
    return put(destination, BUNDLE, lambda folder: fill(folder, contents))


def check_destination(destination: Path) -> None:
    """Find out before long work whether a bundle may be written there; nothing is changed.

    Args:
        destination: as for `write_bundle`.

    Raises:
        OutputError: it is a file, holds a file that is not a bundle's own and would be lost with the folder, or
            lies where this user may not write.
    """
    check_place(destination, BUNDLE)
