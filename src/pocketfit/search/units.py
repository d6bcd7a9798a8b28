"""Quantities as people read them: sizes in decimal megabytes, milliseconds, percentage points, a metric's own unit."""

from __future__ import annotations

import math

__all__ = ["amount", "drop", "figure", "milliseconds", "points", "significant", "size", "unit_of_drop"]

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
    return _shown(value, 1)


def significant(value: float) -> str:
    """A positive number with three significant digits, or all of its whole ones."""
    magnitude = math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:.{min(max(0, 2 - magnitude), _MAX_DECIMALS)}f}"


def unit_of_drop(unit: str) -> str:
    """What a difference of two figures is counted in: "points" for per cent, else the unit itself."""
    return "points" if unit == "%" else unit


def amount(value: float, unit: str) -> str:
    """A difference of two figures without its unit: as `points`; two decimals or more in decibel, else three digits."""
    if unit == "%":
        return points(value)
    return _shown(value, 2) if unit == "dB" else f"{value + 0.0:.3g}"  # adding 0.0 turns -0.0 into 0.0


def drop(value: float, unit: str) -> str:
    """A difference of two figures with its unit, such as "0.2 points", "0.13 dB" or "0.0117"."""
    return f"{amount(value, unit)} {unit_of_drop(unit)}".rstrip()


def figure(value: float, unit: str) -> str:
    """A metric's figure with its unit, such as "90.2%", "31.42 dB" or "0.1234"."""
    if unit == "%":
        return f"{value:.1f}%"
    return f"{value:.2f} {unit}" if unit == "dB" else f"{value:.4g} {unit}".rstrip()


def _shown(value: float, least: int) -> str:
    """With as many decimals as are needed to see that it is not zero, `least` at least; too little for any is zero."""
    decimals = next((n for n in range(least, _MAX_DECIMALS) if abs(value) >= 0.5 * 10**-n), None)
    return f"{0.0:.{least}f}" if decimals is None else f"{value:.{decimals}f}"
