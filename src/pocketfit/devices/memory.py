"""How far this process's resident memory rises above where it stands."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

__all__ = ["mark", "risen_since"]

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


def mark() -> int:
    """Return the peak of resident memory so far, in bytes.

    Linux can set the peak back to the present use; elsewhere an earlier peak hides whatever stays below it.
    """
    if sys.platform == "linux":
        # Some sandboxes forbid it. Then an earlier peak counts, as on the other systems.
        with contextlib.suppress(OSError):
            _CLEAR_REFS.write_text("5")
    return _peak()


def risen_since(marked: int) -> int:
    """Return by how many bytes the peak has risen above what `mark` returned."""
    return max(_peak() - marked, 0)


def _peak() -> int:
    if sys.platform == "linux":
        # Not ru_maxrss: it outlives exec, and with it a fresh process would start from the peak of its parent.
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
