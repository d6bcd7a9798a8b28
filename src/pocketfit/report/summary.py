"""The result of a run as JSON, and back."""

from __future__ import annotations

import json
import math
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from pocketfit.types import FitResult

__all__ = ["as_json", "from_json"]


def as_json(result: FitResult) -> str:
    """The whole result as standard JSON, two spaces deep; an infinite SQNR is the string "Infinity"."""
    plain = _adapter().dump_python(result, mode="json")
    return json.dumps(_without_infinities(plain), indent=2, ensure_ascii=False, allow_nan=False)


def from_json(text: str) -> FitResult:
    """Read back what `as_json` wrote.

    Raises:
        pydantic.ValidationError: the text is no such JSON.
    """
    return _adapter().validate_json(text)


@cache
def _adapter() -> TypeAdapter[FitResult]:
    return TypeAdapter(FitResult)


def _without_infinities(value: Any) -> Any:
    """JSON knows no infinities; these strings are what pydantic reads as such."""
    if isinstance(value, dict):
        return {key: _without_infinities(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_infinities(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"
    return value
