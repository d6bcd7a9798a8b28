"""Readings over time from a file: CSV with a header, or one JSON object a line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

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
    read = _csv_readings if path.suffix.lower() == ".csv" else _json_readings
    try:
        readings = tuple(read(path))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"the trace {path} cannot be read: {error}. Give a CSV or JSON-lines file") from error
    if not readings:
        raise DataError(f"the trace {path} has no reading. docs/policy.md shows one")
    return readings


def _csv_readings(path: Path) -> Iterator[Reading]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file, restkey="a cell without a title")
        for row in rows:
            cells = {name: cell for name, cell in row.items() if cell not in (None, "")}
            with _told_where(path, rows.line_num):
                yield _readings().validate_python(cells, strict=False)  # a cell is text, whatever it says


def _json_readings(path: Path) -> Iterator[Reading]:
    for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if text.strip():
            with _told_where(path, line):
                yield _readings().validate_json(text)


@contextmanager
def _told_where(path: Path, line: int) -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(
            f"{path}, line {line}, is not valid{f' at {where}' if where else ''}: {first['msg']}. "
            "docs/policy.md lists what a reading has"
        ) from error


@cache
def _readings() -> TypeAdapter[Reading]:
    return TypeAdapter(Reading)
