"""Put a finished folder in the place of another one without a moment in which nothing is there."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path

__all__ = ["swap"]

AT_FDCWD = -100
RENAME_EXCHANGE = 2  # Linux
RENAME_SWAP = 2  # macOS

_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


def swap(new: Path, old: Path) -> None:
    """Exchange two folders of one file system: what was at `new` is at `old` afterwards, and the other way round.

    Linux and macOS do it in one step. File systems that cannot, and other systems, need two renames, with an instant
    between them; should the second one fail, the first is undone.
    """
    if _exchange(new, old):
        return
    aside = new.with_name(f"{new.name}.old")
    old.rename(aside)
    try:
        new.rename(old)
    except OSError:
        aside.rename(old)
        raise
    aside.rename(new)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange in one step; return False where that is impossible."""
    libc = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None, use_errno=True)
    if hasattr(libc, "renameat2"):
        failed = libc.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE)
    elif hasattr(libc, "renamex_np"):
        failed = libc.renamex_np(os.fsencode(one), os.fsencode(other), RENAME_SWAP)
    else:
        return False
    code = ctypes.get_errno()
    if failed and code not in _UNSUPPORTED:
        raise OSError(code, os.strerror(code), str(other))
    return not failed
