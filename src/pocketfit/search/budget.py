"""The user's limits: how they are written, and how far a candidate is from them."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from pocketfit.errors import OptionError
from pocketfit.search.units import amount, drop, size
from pocketfit.types import Accuracy, Budget, Candidate, Evidence

__all__ = [
    "DEFAULT_MAX_DROP_DB",
    "DEFAULT_MAX_DROP_POINTS",
    "DEFAULT_MAX_DROP_SHARE",
    "default_drop",
    "default_drop_from",
    "fits",
    "guarded",
    "misses",
    "parse_bytes",
    "parse_max_drop",
]

DEFAULT_MAX_DROP_POINTS = 1.0
"""The accuracy drop, in percentage points, that nothing chosen exceeds when the user set no limit.

Without it "the smallest" would be chosen even where INT8 has ruined the model.
"""

DEFAULT_MAX_DROP_DB = 0.5
"""The same for a metric in decibel."""

DEFAULT_MAX_DROP_SHARE = 0.05
"""The same for a metric in any other unit, or in none: a share of the float model's figure."""

_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"
_POINTS = re.compile(rf"{_NUMBER}\s*(?:%|pts?|points?)?", re.IGNORECASE)
_SIZE = re.compile(rf"{_NUMBER}\s*([a-z]*)", re.IGNORECASE)
_UNIT_BYTES = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
}
# Percentages such as 90.2 and 89.2 are 1.0000000000000142 apart; a limit of 1.0 means to allow that.
_ROUNDING_POINTS = 1e-9


def parse_max_drop(text: str, unit: str = "%") -> float:
    """Read `--max-drop`: how much worse than the float model an artifact may be by the metric.

    Args:
        text: for a metric in per cent `1%`, `1`, `1pt` or `0.5 points`, where a per cent is a percentage point; for
            another one a number, with its unit or without, such as `0.1dB`.
        unit: of the metric.

    Returns:
        In the metric's unit; points are 0..100.

    Raises:
        OptionError: for anything else.
    """
    return _points(text) if unit == "%" else _number(text, unit)


def _number(text: str, unit: str) -> float:
    match = re.fullmatch(rf"{_NUMBER}\s*(?:{re.escape(unit)})?", text.strip(), re.IGNORECASE)
    if match is None:
        counted = f"in {unit}" if unit else "a plain number, in the unit of the metric"
        raise OptionError(
            f"--max-drop {text!r} is no drop by this metric, which is {counted}. Allowed are numbers from 0 on. "
            f"Write for example --max-drop 0.1{unit}."
        )
    return float(match[1])


def _points(text: str) -> float:
    match = _POINTS.fullmatch(text.strip())
    allowed = float(match[1]) if match else math.inf
    if allowed > 100:
        raise OptionError(
            f"--max-drop {text!r} is not an accuracy drop. "
            "Allowed are 0 to 100 percentage points, written 1%, 0.5 or 0.5pt. Write for example --max-drop 1%."
        )
    return allowed


def parse_bytes(option: str, text: str) -> int:
    """Read `--max-size` or `--max-memory`: a number of bytes.

    Args:
        option: what the user gives it as.
        text: a positive number with an optional unit: kB, MB, GB (powers of 1000), KiB, MiB, GiB (powers of 1024).

    Returns:
        Bytes, at least 1.

    Raises:
        OptionError: for anything else.
    """
    match = _SIZE.fullmatch(text.strip())
    unit_bytes = _UNIT_BYTES.get(match[2].lower(), 0) if match else 0
    allowed = int(float(match[1]) * unit_bytes) if match else 0
    if allowed < 1:
        raise OptionError(
            f"{option} {text!r} is not a size. Allowed are bytes (123456), powers of 1000 (350kB, 4MB, 1GB) "
            f"and powers of 1024 (350KiB, 1.5MiB, 1GiB), above zero. Write for example {option} 4MB."
        )
    return allowed


def guarded(budget: Budget, evidence: Evidence) -> Budget:
    """The budget with `default_drop` filled in, where no drop was given and the accuracy is known."""
    if budget.max_drop_points is not None or evidence.accuracy is None:
        return budget
    return replace(budget, max_drop_points=default_drop(evidence.accuracy))


def default_drop(accuracy: Accuracy) -> float:
    """What nothing chosen exceeds when the user set no limit, in the metric's unit."""
    return default_drop_from(accuracy.float_value, accuracy.unit)


def default_drop_from(float_value: float, unit: str) -> float:
    """The same, from the float model's figure and the metric's unit."""
    if unit == "%":
        return DEFAULT_MAX_DROP_POINTS
    return DEFAULT_MAX_DROP_DB if unit == "dB" else DEFAULT_MAX_DROP_SHARE * abs(float_value)


def misses(candidate: Candidate, budget: Budget) -> tuple[str, ...]:
    """Say how far a measured candidate is off each limit.

    Args:
        candidate: with or without evidence.
        budget: the limits, taken literally; see `guarded` for the default.

    Returns:
        One phrase per missed limit, such as "drop 2.3 points, 1.3 over the 1.0 allowed"; empty when it fits, and
        when there is no evidence to judge.
    """
    if candidate.evidence is None:
        return ()
    found = [miss(candidate.evidence, budget) for miss in (_drop_miss, _size_miss, _memory_miss)]
    return tuple(miss for miss in found if miss)


def fits(candidate: Candidate, budget: Budget) -> bool:
    """Whether the candidate has evidence and that evidence is within the budget."""
    return candidate.evidence is not None and not misses(candidate, budget)


def _drop_miss(evidence: Evidence, budget: Budget) -> str:
    allowed = budget.max_drop_points
    if allowed is None:
        return ""
    if evidence.accuracy is None:
        return "drop unknown, because the held-out data has no labels"
    lost, unit = evidence.accuracy.drop_points, evidence.accuracy.unit
    if lost <= allowed + _ROUNDING_POINTS:
        return ""
    return f"drop {drop(lost, unit)}, {amount(lost - allowed, unit)} over the {amount(allowed, unit)} allowed"


def _size_miss(evidence: Evidence, budget: Budget) -> str:
    allowed = budget.max_size_bytes
    if allowed is None or evidence.size_bytes <= allowed:
        return ""
    return f"{size(evidence.size_bytes)}, {size(evidence.size_bytes - allowed)} over the {size(allowed)} allowed"


def _memory_miss(evidence: Evidence, budget: Budget) -> str:
    allowed, taken = budget.max_memory_bytes, evidence.peak_memory_bytes
    if allowed is None or taken <= allowed:
        return ""
    return f"{size(taken)} of memory, {size(taken - allowed)} over the {size(allowed)} allowed"
