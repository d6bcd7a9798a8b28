"""What a refused pickle wanted to import."""

from __future__ import annotations

import io
import pickle
import pickletools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["wanted_global"]


def wanted_global(error: Exception, path: Path | None = None) -> str | None:
    """The object that a pickle wanted to import when torch refused to read it.

    Args:
        error: what `torch.load(..., weights_only=True)` raised.
        path: the file, to be looked into where the error does not say; nothing in it is executed.

    Returns:
        A dotted name such as `posix.system`, or None if an import was not the trouble.
    """
    if not isinstance(error, pickle.UnpicklingError):
        return None
    found = re.search(r"(?:GLOBAL|global) ([\w.]+\.\w+)", str(error))
    if found:
        return found.group(1)
    return None if path is None else _first_global(path)


def _first_global(path: Path) -> str | None:
    strings: list[str] = []
    try:
        for opcode, argument in _opcodes(_pickled(path)):
            if opcode == "GLOBAL":
                return str(argument).replace(" ", ".")
            if opcode == "STACK_GLOBAL":
                return ".".join(strings[-2:])
            if isinstance(argument, str):
                strings.append(argument)
    # It ends in the middle, or never was a pickle.
    except (ValueError, OSError, zipfile.BadZipFile):
        pass
    return None


def _pickled(path: Path) -> bytes:
    """The pickle of a checkpoint: inside a zip file since torch 1.6, the file itself before."""
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return next((archive.read(name) for name in archive.namelist() if name.endswith("data.pkl")), b"")


def _opcodes(content: bytes) -> Iterator[tuple[str, object]]:
    """The instructions of one pickle after the other; none is carried out."""
    stream = io.BytesIO(content)
    while stream.tell() < len(content):
        yield from ((opcode.name, argument) for opcode, argument, _ in pickletools.genops(stream))
