"""Readings over time from a file: CSV with a header, or one JSON object a line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pocketfit.errors import DataError
from pocketfit.policy.sensors import Reading

__all__ = ["read_trace"]


def read_trace(path: Path) -> tuple[Reading, ...]:
    """Read a trace; a key or cell that is missing or empty is unknown.

    Args:
        path: a `.csv`, or anything else as JSON lines; columns and keys are the fields of `Reading`, `time_ms` first
            of all.

    Raises:
        DataError: the file cannot be read, has no reading, or one that is not valid.
    """
    try:
        rows = list(_csv_rows(path) if path.suffix.lower() == ".csv" else _json_rows(path))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"the trace {path} cannot be read: {error}. Give a CSV or JSON-lines file") from error
    if not rows:
        raise DataError(f"the trace {path} has no reading. docs/policy.md shows one")
    return tuple(_reading(path, line, row, is_text=path.suffix.lower() == ".csv") for line, row in rows)


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, restkey="a cell without a title")
        for row in reader:
            yield reader.line_num, {name: cell for name, cell in row.items() if cell not in (None, "")}


def _json_rows(path: Path) -> Iterator[tuple[int, Any]]:
    for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not text.strip():
            continue
        try:
            yield line, json.loads(text)
        except ValueError as error:
            raise DataError(f"{path}, line {line}, is not JSON ({error}). Write one object a line") from error


def _reading(path: Path, line: int, row: Any, *, is_text: bool) -> Reading:
    try:
        return _readings().validate_python(row, strict=not is_text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise DataError(
            f"{path}, line {line}, is not valid at {where}: {first['msg']}. docs/policy.md lists what a reading has"
        ) from error


@cache
def _readings() -> TypeAdapter[Reading]:
    return TypeAdapter(Reading)
