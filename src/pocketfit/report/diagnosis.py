"""What `pocketfit diagnose` found, as a table and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pocketfit.compress.quantize.diagnose import Diagnosis
from pocketfit.report.page import render, write_page
from pocketfit.report.plots import COLORS, Plot, figure, height_of_bars

__all__ = ["print_diagnosis", "write_diagnosis"]

BAR_CELLS = 20
PLOTTED = 30


def print_diagnosis(found: Sequence[Diagnosis], console: Console, shown: int) -> None:
    """Print the worst ops with a bar for the blame of each, then what to try.

    Args:
        found: worst first.
        console: where to.
        shown: number of ops to show.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for title in ("module", "op"):
        table.add_column(title)
    for title in ("SQNR dB", "alone"):
        table.add_column(title, justify="right")
    table.add_column("")
    table.add_column("cause")
    worst = max((one.alone for one in found), default=0.0)
    for one in found[:shown]:
        sqnr = "-" if one.sqnr_db is None else f"{one.sqnr_db:.1f}"
        bar = "█" * round(BAR_CELLS * one.alone / worst) if worst > 0 else ""
        cells = (one.source or one.name, one.op, sqnr, f"{one.alone:.2g}", bar, "; ".join(one.causes))
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
    rest = len(found) - shown
    lines = [
        *([f"{rest} more ops hurt less; --all shows them."] if rest > 0 else []),
        "alone: divergence of the answers from the float model's when this op alone is INT8. "
        "SQNR: of its result, everything before it INT8 as well.",
    ]
    for line in lines:
        console.print(Text(line), highlight=False)


def write_diagnosis(title: str, found: Sequence[Diagnosis], path: Path) -> None:
    """Write a self-contained page with both views of every op.

    Args:
        title: of the page.
        found: worst first.
        path: of the file; its folder exists.

    Raises:
        OutputError: the file cannot be written.
    """
    page = render("diagnosis.html.j2", title=title, found=found, plots=[_blame(found), _noise(found)])
    write_page(page, path)


def _blame(found: Sequence[Diagnosis]) -> Plot:
    worst = list(found[:PLOTTED])
    return _bars(
        "blame",
        "Who is to blame",
        "Divergence of the model's answers from the float model's when one op alone is INT8; the worst on top.",
        worst,
        [one.alone for one in worst],
        "divergence",
        COLORS[4],
    )


def _noise(found: Sequence[Diagnosis]) -> Plot:
    known = sorted((one for one in found if one.sqnr_db is not None), key=lambda one: one.sqnr_db or 0.0)[:PLOTTED]
    return _bars(
        "noise",
        "Where noise has built up",
        "Signal to quantization noise of an op's result, everything before it INT8 as well; fewer decibel are worse.",
        known,
        [one.sqnr_db or 0.0 for one in known],
        "SQNR (dB)",
        COLORS[0],
    )


def _bars(
    name: str, title: str, description: str, shown: Sequence[Diagnosis], values: Sequence[float], axis: str, color: str
) -> Plot:
    places = list(range(len(shown)))
    labels = {"tickvals": places, "ticktext": [one.source or one.name for one in shown]}
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": places,
        "x": list(values),
        "text": [f"{one.op}, node {one.name}<br>{'; '.join(one.causes)}" for one in shown],
        "textposition": "none",
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"color": color},
    }
    layout = figure(
        [bars],
        height=height_of_bars(len(shown)),
        xaxis={"title": {"text": axis}},
        yaxis={"autorange": "reversed", "automargin": True, **labels},
    )
    return Plot(name, title, description, layout)
