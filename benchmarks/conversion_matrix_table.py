"""`docs/conversion_matrix.md` from `benchmarks/results/conversion_matrix.json`; `python -m ...` refreshes it alone."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks.matrix.judge import FLOAT_COSINE, INT8_AGREEMENT, INT8_COSINE, INT8_FLOOR, ROUNDING, ROUNDING_DB
from benchmarks.results import FOLDER, Row
from pocketfit.runtimes import BUILT_IN, get_runtime

__all__ = ["table", "write"]

SOURCE = FOLDER / "conversion_matrix.json"
PAGE = Path(__file__).parents[1] / "docs" / "conversion_matrix.md"
# As long as a line of a failure may be.
_REASON = 300

_PRECISIONS = ("float32", "int8")
_MARKS = {
    "agrees": "✓",
    "converted": "◦",
    "disagrees": "differs",
    "failed": "failed",
    "crashed": "crashed",
    "timed out": "too slow",
}
_ROUNDED = "≈"
_GOOD = ("agrees", "converted")
_ORIGINS = {"zoo": "Written here", "torchvision": "torchvision", "timm": "timm"}


def write(rows: Sequence[Row]) -> None:
    """Refresh the page in the docs."""
    PAGE.write_text(table(rows))


def table(rows: Sequence[Row]) -> str:
    """The page in Markdown.

    Args:
        rows: of the benchmark, in any order.
    """
    return "\n".join([*_introduction(rows), *_totals(rows), *_cells(rows), *_failures(rows)]) + "\n"


def _introduction(rows: Sequence[Row]) -> Iterator[str]:
    models = len({row["model"] for row in rows})
    good, all_ = sum(row["status"] in _GOOD for row in rows), len(rows)
    yield "# Which networks convert, and answer as they must"
    yield ""
    yield (
        f"{models} networks with random weights, in six runtimes, in float32 and INT8: {good} of {all_} cells are good."
        " This page is written by `python -m benchmarks conversion_matrix`, and by"
        " `python -m benchmarks.conversion_matrix_table` from stored results."
    )
    yield ""
    yield "| in a cell | meaning |"
    yield "|---|---|"
    yield (
        f"| {_MARKS['agrees']} | converted, and it answers as it must: in float32 as the float model does (cosine at"
        f" least {FLOAT_COSINE}), in INT8 as the plan's simulation does (the same class for {INT8_AGREEMENT:.0%} of the"
        f" samples and cosine at least {INT8_FLOOR}, or, of near ties and outputs that are no classes, cosine at least"
        f" {INT8_COSINE}) |"
    )
    yield (
        f"| {_ROUNDED} | agrees within the tolerance named {ROUNDING}: the runtime rounds otherwise than the"
        f" simulation, and its distance in decibel is no larger than the plan's own distance from the float model and"
        f" {ROUNDING_DB:.0f} dB, with a cosine of at least {INT8_FLOOR} |"
    )
    yield f"| {_MARKS['converted']} | converted, not run here: the runtime runs on another system |"
    yield f"| {_MARKS['disagrees']} | converted, but it answers otherwise |"
    yield f"| {_MARKS['failed']} | refused, with a reason that is told [below](#what-fails-and-why) |"
    yield f"| {_MARKS['crashed']}, {_MARKS['timed out']} | the converter or the runtime died or had to be stopped |"
    yield ""


def _totals(rows: Sequence[Row]) -> Iterator[str]:
    yield "| runtime | float32 | INT8 | median s | largest s | median MB | largest MB |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for runtime in _runtimes(rows):
        yield _total(get_runtime(runtime).info.title, [row for row in rows if row["runtime"] == runtime])
    yield _total("all", rows)
    yield ""
    yield (
        "Seconds and peak memory are those of one conversion in a process that has imported its converter; memory"
        " includes what that process held before, and is the larger one of it and the programs it started."
    )
    yield ""


def _total(title: str, rows: Sequence[Row]) -> str:
    shares = [_share([row for row in rows if row["precision"] == precision]) for precision in _PRECISIONS]
    return _line([title, *shares, *_spread(rows, "seconds", ".1f"), *_spread(rows, "peak_mb", ".0f")])


def _share(rows: Sequence[Row]) -> str:
    good = sum(row["status"] in _GOOD for row in rows)
    return f"{good} of {len(rows)}, {good / len(rows):.1%}" if rows else "-"


def _spread(rows: Iterable[Row], name: str, digits: str) -> tuple[str, str]:
    values = [row[name] for row in rows if row.get(name) is not None]
    return (format(statistics.median(values), digits), format(max(values), digits)) if values else ("-", "-")


def _cells(rows: Sequence[Row]) -> Iterator[str]:
    runtimes = _runtimes(rows)
    marks = {(row["model"], row["runtime"], row["precision"]): _mark(row) for row in rows}
    columns = [(runtime, precision) for runtime in runtimes for precision in _PRECISIONS]
    for origin, title in _ORIGINS.items():
        yield f"## {title}"
        yield ""
        yield _line(["network", *(f"{get_runtime(name).info.title} {precision}" for name, precision in columns)])
        yield "|---" + "|:-:" * len(columns) + "|"
        for model in dict.fromkeys(row["model"] for row in rows if row["origin"] == origin):
            yield _line([model, *(marks.get((model, *column), "") for column in columns)])
        yield ""


def _mark(row: Row) -> str:
    rounded = row["status"] == "agrees" and str(row["rule"]).startswith(ROUNDING)
    return _ROUNDED if rounded else _MARKS[row["status"]]


def _failures(rows: Sequence[Row]) -> Iterator[str]:
    yield "## What fails, and why"
    yield ""
    bad = [row for row in rows if row["status"] not in _GOOD]
    if not bad:
        yield "Nothing."
        return
    yield (
        "Per runtime and op: "
        + "; ".join(f"{runtime} {op} {count}" for (runtime, op), count in Counter(map(_blame, bad)).most_common())
        + "."
    )
    yield ""
    yield "| network | runtime | precision | what | op | reason |"
    yield "|---|---|---|---|---|---|"
    for row in bad:
        reason = " ".join(str(row.get("reason") or "").split())[:_REASON].replace("|", "\\|")
        yield _line([row["model"], row["runtime"], row["precision"], row["status"], row.get("op") or "-", reason])


def _blame(row: Row) -> tuple[str, str]:
    return row["runtime"], row.get("op") or row["status"]


def _runtimes(rows: Sequence[Row]) -> list[str]:
    there = {row["runtime"] for row in rows}
    return [name for name in BUILT_IN if name in there]


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    write(json.loads(SOURCE.read_text()))
