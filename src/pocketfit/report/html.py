"""The result of a run as one page that needs no network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pocketfit.errors import OutputError
from pocketfit.report.columns import Column, columns
from pocketfit.report.field import FIELD_FIGURES, FIELD_NOTE, FIELD_WORDS, field_rows, tier_lines
from pocketfit.report.headline import headline
from pocketfit.report.page import render
from pocketfit.report.plots import Plot
from pocketfit.report.plots.latency import latency
from pocketfit.report.plots.pareto import pareto
from pocketfit.report.plots.sensitivity import sensitivity, worst_first
from pocketfit.report.plots.tradeoff import tradeoff
from pocketfit.report.rows import Row, comparison, missed
from pocketfit.report.wording import (
    budget_lines,
    data_lines,
    float_line,
    measured_where,
    not_run_lines,
    notes,
    preprocessing_lines,
    rung_lines,
)
from pocketfit.search.outcome import Outcome
from pocketfit.types import FitResult

__all__ = ["render_html", "write_html"]


def write_html(result: FitResult, path: Path, tried: Sequence[Outcome] = ()) -> None:
    """Write the page: about 5 MB, because the plotting library is inside; equal results give equal pages.

    Args:
        result: of a run.
        path: of the file; its folder exists.
        tried: by a search that the result came of.

    Raises:
        OutputError: the file cannot be written.
    """
    try:
        path.write_text(render_html(result, tried), encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"the report cannot be written to {path}: {error.strerror}. Give an -o folder that exists and can be "
            "written, on a disk with 10 MB free."
        ) from error


def render_html(result: FitResult, tried: Sequence[Outcome] = ()) -> str:
    """The page as text; with what a search has tried, where the result came of one."""
    return render("report.html.j2", **_page(result, tried))


def _page(result: FitResult, tried: Sequence[Outcome]) -> dict[str, Any]:
    rows = comparison(result)
    *figures, verdict = columns(result)
    shown = [*figures[:2], verdict, *figures[2:]]  # where it is seen without scrolling
    return {
        "result": result,
        "headline": headline(result),
        "columns": shown,
        "rows": [(row, _cells(row, shown)) for row in rows],
        "where": measured_where(result),
        "plots": [*_plots(result, rows), *([pareto(result, tried)] if tried else [])],
        "sensitivities": [
            (sensitivity(scheme, layers), worst_first(layers)) for scheme, layers in result.layers.items()
        ],
        "budget": budget_lines(result),
        "missed": missed(rows),
        "not_run": not_run_lines(result),
        "preprocessing": preprocessing_lines(result.preprocess),
        "data": data_lines(result),
        "float_line": float_line(result),
        "notes": notes(result),
        "rungs": rung_lines(result),
        "field": field_rows(result),
        "field_titles": (FIELD_WORDS, FIELD_FIGURES),
        "field_note": FIELD_NOTE,
        "tiers": tier_lines(result),
        "seconds": sum(stage.seconds for stage in result.stages),
    }


def _cells(row: Row, shown: Sequence[Column]) -> list[tuple[Column, str, str]]:
    return [(column, column.text(row), _sort_key(column.order(row))) for column in shown]


def _sort_key(value: float | str | None) -> str:
    """As the page's script reads it: empty sorts last, and infinity is spelled as JavaScript does."""
    if value is None:
        return ""
    return "Infinity" if value == math.inf else str(value)


def _plots(result: FitResult, rows: Sequence[Row]) -> list[Plot]:
    if all(row.candidate.evidence is None for row in rows):
        return []
    return [tradeoff(result, rows), latency(rows)]
