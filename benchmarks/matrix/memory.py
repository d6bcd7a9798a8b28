"""The largest resident memory of a stretch of work, child processes included."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["Peak", "watch_memory"]

_SECONDS = 0.05


@dataclass
class Peak:
    """Megabytes, known when the work is done.

    Args:
        own: most that this process held, what it had loaded before included.
        children: most that a child process held.
    """

    own: float = 0.0
    children: float = 0.0


@contextlib.contextmanager
def watch_memory() -> Iterator[Peak]:
    """Measure what is done inside.

    Linux knows a process's peak and can set it back; the children, which end meanwhile, have to be looked at.
    """
    peak, done = Peak(), threading.Event()
    looking = threading.Thread(target=_look_at_children, args=(peak, done), daemon=True)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    looking.start()
    try:
        yield peak
    finally:
        done.set()
        looking.join()
        peak.own = _high_water("self")


def _look_at_children(peak: Peak, done: threading.Event) -> None:
    me = psutil.Process()
    while not done.wait(_SECONDS):
        for child in me.children(recursive=True):
            with contextlib.suppress(OSError, StopIteration):
                peak.children = max(peak.children, _high_water(str(child.pid)))


def _high_water(process: str) -> float:
    """`VmHWM` of a process, in megabytes."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024 / 1e6
