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
    rounded = round(value, _MAX_DECIMALS) + 0.0  # turns -0.0 into 0.0
    decimals = next((n for n in range(1, _MAX_DECIMALS) if abs(rounded) >= 0.5 * 10**-n), 1)
    return f"{rounded:.{decimals}f}"


def significant(value: float) -> str:
    """A positive number with three significant digits, or all of its whole ones."""
    magnitude = math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:.{min(max(0, 2 - magnitude), _MAX_DECIMALS)}f}"


def unit_of_drop(unit: str) -> str:
    """What a difference of two figures is counted in: "points" for per cent, else the unit itself."""
    return "points" if unit == "%" else unit


def amount(value: float, unit: str) -> str:
    """A difference of two figures without its unit: as `points`, in decibel with two decimals, else three digits."""
    if unit == "%":
        return points(value)
    # Adding 0.0 turns -0.0 into 0.0.
    return f"{round(value, 2) + 0.0:.2f}" if unit == "dB" else f"{value + 0.0:.3g}"


def drop(value: float, unit: str) -> str:
    """A difference of two figures with its unit, such as "0.2 points", "0.13 dB" or "0.0117"."""
    return f"{amount(value, unit)} {unit_of_drop(unit)}".rstrip()


def figure(value: float, unit: str) -> str:
    """A metric's figure with its unit, such as "90.2%", "31.42 dB" or "0.1234"."""
    if unit == "%":
        return f"{value:.1f}%"
    return f"{value:.2f} {unit}" if unit == "dB" else f"{value:.4g} {unit}".rstrip()
