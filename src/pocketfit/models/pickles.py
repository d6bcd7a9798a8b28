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


# What every checkpoint imports, and torch allows: its tensors and the dict that holds them.
_HARMLESS = re.compile(r"collections\.OrderedDict|torch\._utils\.\w+|torch\.\w+")


def _first_global(path: Path) -> str | None:
    try:
        return next((name for name in _globals(_pickled(path)) if not _HARMLESS.fullmatch(name)), None)
    # It ends in the middle, or never was a pickle.
    except (ValueError, OSError, zipfile.BadZipFile):
        return None


def _globals(content: bytes) -> Iterator[str]:
    """What the instructions of one pickle after the other would import; none is carried out."""
    stream = io.BytesIO(content)
    while stream.tell() < len(content):
        yield from _globals_of_one(stream)


def _globals_of_one(stream: io.BytesIO) -> Iterator[str]:
    # Since protocol 4 the name of an import is the last two strings, and a string said before is only referred to.
    strings, memo = ["", ""], list[str]()
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name == "GLOBAL":
            yield str(argument).replace(" ", ".")
        elif opcode.name == "STACK_GLOBAL":
            yield ".".join(strings[-2:])
        elif opcode.name == "MEMOIZE":
            memo.append(strings[-1])
        elif opcode.name.endswith("BINGET") and isinstance(argument, int):
            strings.append(memo[argument] if argument < len(memo) else "")
        elif isinstance(argument, str):
            strings.append(argument)


def _pickled(path: Path) -> bytes:
    """The pickle of a checkpoint: inside a zip file since torch 1.6, the file itself before."""
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return next((archive.read(name) for name in archive.namelist() if name.endswith("data.pkl")), b"")
