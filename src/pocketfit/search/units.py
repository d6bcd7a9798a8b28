"""Quantities as people read them: sizes in decimal megabytes, milliseconds, percentage points."""

from __future__ import annotations

import math

__all__ = ["milliseconds", "points", "significant", "size"]

_SIZES = ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB"))
_MAX_DECIMALS = 6


def size(count: float) -> str:
    """A number of bytes with three significant digits, such as "3.74 MB" or "812 B"."""
    for unit_bytes, unit in _SIZES:
        if count >= unit_bytes:
            return f"{significant(count / unit_bytes)} {unit}"
    return f"{count:.0f} B"


def milliseconds(time_ms: float) -> str:
    """A duration with three significant digits, such as "4.32 ms"."""
    return f"{significant(time_ms)} ms"


def points(value: float) -> str:
    """Percentage points with one decimal, or as many as a value other than zero needs to show."""
    rounded = round(value, _MAX_DECIMALS) + 0.0  # turns -0.0 into 0.0
    decimals = next((n for n in range(1, _MAX_DECIMALS) if abs(rounded) >= 0.5 * 10**-n), 1)
    return f"{rounded:.{decimals}f}"


def significant(value: float) -> str:
    """A positive number with three significant digits, or all of its whole ones."""
    magnitude = math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:.{min(max(0, 2 - magnitude), _MAX_DECIMALS)}f}"
