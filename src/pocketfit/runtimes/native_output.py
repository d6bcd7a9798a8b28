"""What native code prints, caught: some runtimes say only there that they did not do as they were told."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import tempfile
from collections.abc import Callable, Iterator

__all__ = ["caught_output"]

_STDOUT, _STDERR = 1, 2


@contextlib.contextmanager
def caught_output() -> Iterator[Callable[[], str]]:
    """Keep what native code writes to stdout and stderr from being seen.

    Yields:
        A function that gives what was written, once the context is left.
    """
    printed: list[str] = []
    with tempfile.TemporaryFile() as stream:
        _flush()
        kept = [os.dup(descriptor) for descriptor in (_STDOUT, _STDERR)]
        try:
            for descriptor in (_STDOUT, _STDERR):
                os.dup2(stream.fileno(), descriptor)
            yield lambda: "".join(printed)
        finally:
            _flush()
            for descriptor, copy in zip((_STDOUT, _STDERR), kept, strict=True):
                os.dup2(copy, descriptor)
                os.close(copy)
            stream.seek(0)
            printed.append(stream.read().decode(errors="replace"))


def _flush() -> None:
    """Write out what Python and the C library hold back, so that it goes where it was meant to."""
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.suppress(TypeError, OSError):  # Windows has no library of that name
        ctypes.CDLL(None).fflush(None)
