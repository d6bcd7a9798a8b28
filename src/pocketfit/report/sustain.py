"""A model under load, as a page: latency and heat over time. All of it is simulated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pocketfit.report.page import render, write_page
from pocketfit.report.plots import COLORS, Figure, Plot, figure
from pocketfit.search.units import significant

if TYPE_CHECKING:
    from pocketfit.devices.predict.predict import Prediction
    from pocketfit.devices.sustain.heat import Moment
    from pocketfit.devices.sustain.sustain import Sustained, Usage

__all__ = ["day", "slows_after", "way", "write_sustained"]

HEIGHT_PX = 320
# More lines than colours cannot be told apart; the table has them all.
MOST_LINES = len(COLORS)
# Seconds between two points of a line.
EVERY = 10


def write_sustained(model: str, usage: Usage, shown: Sequence[Sustained], path: Path) -> None:
    """Write a self-contained page.

    Args:
        model: as the user wrote it.
        usage: that was simulated.
        shown: at least one, the first of them are drawn.
        path: of the file; its folder exists.

    Raises:
        OutputError: the file cannot be written.
    """
    drawn = shown[:MOST_LINES]
    plots = [
        _over_time("latency", "Latency", "Time of one inference under load.", "ms", drawn, lambda one: one.ms),
        _over_time(
            "temperature", "Temperature", "Of the device under load.", "°C", drawn, lambda one: one.temperature_c
        ),
        _over_time("power", "Power", "That inference draws.", "W", drawn, lambda one: one.watts),
    ]
    rows = [(one, _name(one), slows_after(one), day(one)) for one in shown]
    page = render("sustain.html.j2", model=model, usage=usage, plots=plots, rows=rows, hidden=len(shown) - len(drawn))
    write_page(page, path)


def way(one: Prediction) -> str:
    """How a model is run, in short: runtime, precision, processor and threads."""
    threads = f" x{one.threads}" if one.processor == "cpu" else ""
    return f"{one.runtime} {one.precision} {one.processor.upper()}{threads}"


def slows_after(one: Sustained) -> str:
    """When the clock has to be lowered, in words."""
    if one.throttled_after_s is None:
        return "never"
    return f"{one.throttled_after_s:.0f} s"


def day(one: Sustained) -> str:
    """What a day costs, in words."""
    wh = f"{significant(one.day.mwh / 1000)} Wh"
    return wh if one.day.battery_percent is None else f"{wh}, {significant(one.day.battery_percent)}%"


def _over_time(
    name: str, title: str, about: str, unit: str, shown: Sequence[Sustained], value: Callable[[Moment], float]
) -> Plot:
    lines = [_line(one, color, value) for one, color in zip(shown, COLORS, strict=False)]
    return Plot(
        name,
        f"{title}, simulated",
        about,
        figure(
            lines,
            height=HEIGHT_PX,
            xaxis={"title": {"text": "minutes"}},
            yaxis={"title": {"text": unit}, "automargin": True, "rangemode": "tozero"},
            legend={"orientation": "h", "y": 1.0, "yanchor": "bottom"},
        ),
    )


def _name(one: Sustained) -> str:
    return f"{one.prediction.device}: {way(one.prediction)}"


def _line(one: Sustained, color: str, value: Callable[[Moment], float]) -> Figure:
    kept = one.curve[::EVERY]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": _name(one),
        "x": [round(moment.seconds / 60, 3) for moment in kept],
        "y": [float(f"{value(moment):.4g}") for moment in kept],
        "line": {"color": color},
    }
