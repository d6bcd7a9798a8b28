"""The result of a run in a terminal, a pipe or a log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pocketfit.report.columns import Column, columns
from pocketfit.report.field import FIELD_FIGURES, FIELD_NOTE, FIELD_WORDS, field_rows, tier_lines
from pocketfit.report.rows import Row, Verdict, comparison, missed
from pocketfit.report.wording import float_line, measured_where, not_run_lines, notes, rung_lines
from pocketfit.rows import spelled
from pocketfit.types import FitResult, StageTime

__all__ = ["print_fit"]

_STYLES = {
    Verdict.CHOSEN: "bold green",
    Verdict.FITS: "",
    Verdict.OVER_BUDGET: "yellow",
    Verdict.NOT_RUN: "yellow",
    Verdict.FAILED: "red",
}
_GAP = 2  # between columns; the box brings one of it


def print_fit(result: FitResult, console: Console) -> None:
    """Print the comparison table, what was chosen and why, the time per stage, and the notes.

    Columns that do not fit the console's width are left out, least important first, and named.

    Args:
        result: of a run.
        console: where to; its width is respected and its colours are used only to repeat what the words say.
    """
    rows = comparison(result)
    every = columns(result)
    shown = _fitting(every, rows, console.width)
    _line(console, _what(result), "bold")
    console.print(_table(shown, rows))
    _line(console, f"Latency and memory: {measured_where(result)}. Ratios are to float32 in the same runtime.")
    hidden = [" ".join(column.title.split("\n")) for column in every if column not in shown]
    if hidden:
        _line(console, f"Left out of {console.width} columns: {', '.join(hidden)}.")
    for title, lines in _sections(result, rows):
        console.print()
        _line(console, title, "bold")
        for line in lines:
            _line(console, line)
    if result.field:
        console.print()
        _line(console, "The field, predicted", "bold")
        console.print(_field(result))
        _line(console, FIELD_NOTE)
    console.print()
    console.print(_stages(result.stages))


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style=style), highlight=False)


def _what(result: FitResult) -> str:
    shape = spelled(one.shape[1:] for one in (result.input, *result.more_inputs))
    score = f", {line}" if (line := float_line(result)) else ""
    # Without data nothing calibrates, and noise stands in for samples.
    kind = "held-out samples" if result.calibration_samples else "samples of noise"
    return (
        f"{result.model}: {result.parameters:,} parameters, {result.macs:,} MACs at {shape}{score} "
        f"on {result.evaluation_samples:,} {kind}"
    )


def _fitting(every: Sequence[Column], rows: Sequence[Row], width: int) -> list[Column]:
    """The columns that fit side by side: the least important ones leave first, of equals the last."""
    shown = list(every)
    while sum(_width(column, rows) + _GAP for column in shown) - _GAP > width:
        least = max(shown, key=lambda column: (column.importance, shown.index(column)))
        if least.importance == 0:
            break
        shown.remove(least)
    return shown


def _width(column: Column, rows: Sequence[Row]) -> int:
    return max(len(text) for text in (*column.title.split("\n"), *(column.text(row) for row in rows)))


def _table(shown: Sequence[Column], rows: Sequence[Row]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
    for column in shown:
        table.add_column(
            Text(column.title),
            justify="right" if column.numeric else "left",
            vertical="bottom",
            no_wrap=column is not shown[-1],  # the verdict is in words
        )
    for row in rows:
        table.add_row(*(Text(column.text(row)) for column in shown), style=_STYLES[row.verdict])
    return table


def _sections(result: FitResult, rows: Sequence[Row]) -> Iterator[tuple[str, list[str]]]:
    """The paragraphs below the table; those with nothing to say are left out."""
    sections = (
        ("Choices", [f"{choice.runtime}: {choice.reason}." for choice in result.choices]),
        ("Not fitting", [f"{_name(row)} {row.verdict}: {row.why}" for row in missed(rows)]),
        ("Not run here", not_run_lines(result)),
        ("Rescue", rung_lines(result)),
        ("Tiers", tier_lines(result)),
        ("Notes", notes(result)),
    )
    return ((title, lines) for title, lines in sections if lines)


def _field(result: FitResult) -> Table:
    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for title in FIELD_WORDS:
        drawn.add_column(title, overflow="fold")
    for title in FIELD_FIGURES:
        drawn.add_column(title, justify="right")
    for row in field_rows(result):
        drawn.add_row(*map(Text, row))
    return drawn


def _name(row: Row) -> str:
    return f"{row.candidate.runtime} {row.candidate.precision}"


def _stages(stages: Sequence[StageTime]) -> Table:
    """One line per kind of stage: its name up to the first space, such as "convert"."""
    table = Table(box=None, padding=(0, _GAP, 0, 0))
    table.add_column("Stage")
    table.add_column("seconds", justify="right")
    table.add_column("")
    for kind in dict.fromkeys(stage.stage.partition(" ")[0] for stage in stages):
        table.add_row(*_stage(kind, [stage for stage in stages if stage.stage.partition(" ")[0] == kind]))
    table.add_row("sum, some overlap", f"{sum(stage.seconds for stage in stages):.1f}", "", style="bold")
    return table


def _stage(kind: str, stages: Sequence[StageTime]) -> tuple[Text, str, str]:
    count, reused = len(stages), sum(stage.reused for stage in stages)
    name = kind if count == 1 else f"{kind} x{count}"
    part = "" if reused in (0, count) else f"{reused} "
    return Text(name), f"{sum(stage.seconds for stage in stages):.1f}", f"{part}reused" if reused else ""
