"""What a refused pickle wanted to import."""

from __future__ import annotations

import pickle
import pickletools
import re
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
        with path.open("rb") as file:
            for opcode, argument, _ in pickletools.genops(file):
                if opcode.name == "GLOBAL":
                    return str(argument).replace(" ", ".")
                if opcode.name == "STACK_GLOBAL":
                    return ".".join(strings[-2:])
                if isinstance(argument, str):
                    strings.append(argument)
    # It ends in the middle, or never was a pickle.
    except (ValueError, OSError):
        return None
    return None
