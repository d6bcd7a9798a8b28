"""ExecuTorch's native runtime in this process: imported, kept quiet, and given the threads that a session asked for.

The runtime has one thread pool, and a loaded program keeps hold of it: replaced beneath one, the next run may crash.
So whoever runs with another number of threads than is set first unloads all programs, which come back when they run.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Loaded", "quiet", "runtime"]

# Of what was printed before a failure, so much goes into its message.
LINES = 4

_STDERR = 2
_loaded: weakref.WeakSet[Loaded] = weakref.WeakSet()


class Loaded:
    """A program, loaded with a number of threads.

    Args:
        path: a `.pte` file.
        threads: at least 1.

    Raises:
        RuntimeError: the runtime does not take the file; with what it printed.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self._path = path
        self._threads = threads
        self._program: tuple[Any, Any] | None = None
        self._ready()

    def run(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """Run `forward` once on float32 arrays; the outputs are copies."""
        import numpy as np
        import torch

        # It wants to be able to write.
        own = [torch.from_numpy(np.array(values, np.float32, order="C")) for values in inputs]
        _, method = self._ready()
        outputs = method(own, clone_outputs=True)
        return tuple(output.numpy() for output in outputs)

    def _ready(self) -> tuple[Any, Any]:
        """The program, which has to outlive its method, and the method."""
        native = runtime()
        if native._threadpool_get_thread_count() != self._threads:
            for other in _loaded:
                other._program = None
            with quiet():
                native._unsafe_reset_threadpool(self._threads)
        if self._program is None:
            self._program = _load(native, self._path)
            _loaded.add(self)
        return self._program


def _load(native: Any, path: Path) -> tuple[Any, Any]:
    with quiet() as said:
        try:
            program = native._load_program(str(path))
            return program, program.load_method("forward")
        except RuntimeError as error:
            raise RuntimeError(" ".join([str(error), *said()])) from error


@functools.cache
def runtime() -> Any:
    """The native module with the kernels for what quantize and dequantize nodes are left outside of delegates.

    `executorch.runtime`, which wraps it, imports the converter with it, which takes seconds.
    """
    import torch  # noqa: F401  # its libraries have to be there before

    with quiet():
        import executorch.kernels.quantized  # noqa: F401
        from executorch.extension.pybindings import _C

        _C._threadpool_get_thread_count()  # looks at the processor when it is first called, and says so
    return _C


@contextlib.contextmanager
def quiet() -> Iterator[Callable[[], list[str]]]:
    """Keep what the converter and the runtime print to themselves, and the root logger as the user has set it up.

    Native code writes to the file descriptor, or to `sys.stderr` whatever that is.

    Yields:
        A function that gives the last lines so far.
    """
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with tempfile.TemporaryFile("w+", errors="replace") as said, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with _descriptor(said.fileno()), contextlib.redirect_stderr(said):
                yield lambda: _last_lines(said)
        finally:
            root.handlers[:], root.level = handlers, level


@contextlib.contextmanager
def _descriptor(target: int) -> Iterator[None]:
    """Point stderr's file descriptor to another file."""
    sys.stderr.flush()
    kept = os.dup(_STDERR)
    os.dup2(target, _STDERR)
    try:
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)


def _last_lines(said: IO[str]) -> list[str]:
    said.flush()
    said.seek(0)
    return said.read().splitlines()[-LINES:]
