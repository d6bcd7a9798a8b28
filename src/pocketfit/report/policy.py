"""What a policy did in a simulation, as a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from pocketfit.policy.sensors import Reading
from pocketfit.policy.simulate import Frame, Simulation
from pocketfit.policy.state import Action
from pocketfit.report.page import render, write_page
from pocketfit.report.plots import COLORS, Figure, Plot, figure

__all__ = ["write_simulation"]

HEIGHT_PX = 240
ACTION_COLORS = {Action.INFER: COLORS[0], Action.SKIP: COLORS[5], Action.WAIT: COLORS[4], Action.WARM_UP: COLORS[1]}


def write_simulation(title: str, simulation: Simulation, path: Path) -> None:
    """Write a self-contained page: battery, heat and variant over time, and each stretch in a table.

    Args:
        title: of the page.
        simulation: that is shown.
        path: of the file; its folder exists.

    Raises:
        OutputError: the file cannot be written.
    """
    plots = [plot for plot in (_variant(simulation), _battery(simulation), *_heat(simulation)) if plot is not None]
    spans = [(frame, length_ms / 1000) for frame, length_ms in simulation.spans()]
    page = render(
        "policy.html.j2", title=title, simulation=simulation, plots=plots, spans=spans, actions=simulation.actions()
    )
    write_page(page, path)


def _variant(simulation: Simulation) -> Plot:
    frames = simulation.frames
    line = _steps("variant", frames, lambda frame: frame.decision.variant, COLORS[2])
    line["text"] = [frame.decision.rule for frame in _changes(frames, lambda frame: frame.decision.variant)]
    marks = [_marks(frames, action) for action in (Action.WAIT, Action.WARM_UP)]
    return Plot(
        "variant",
        "Variant",
        "Which variant runs; dots are frames that wait for a hand-over or warm the new variant up.",
        _over_time([line, *marks], {"type": "category"}),
    )


def _battery(simulation: Simulation) -> Plot | None:
    line = _sensor("battery", simulation.frames, lambda reading: reading.battery_percent, COLORS[0])
    layout = _over_time([line], {"title": {"text": "%"}, "range": [0, 101]})
    return Plot("battery", "Battery", "Charge of the battery in percent.", layout) if line["x"] else None


def _heat(simulation: Simulation) -> list[Plot]:
    frames = simulation.frames
    headroom = _sensor("headroom", frames, lambda reading: reading.headroom_permille, COLORS[4])
    status = _sensor("thermal status", frames, lambda reading: reading.thermal_status, COLORS[1])
    plots = []
    if any(frame.temperature_c is not None for frame in frames):
        line = _steps("temperature", frames, lambda frame: round(frame.temperature_c or 0.0, 1), COLORS[4])
        layout = _over_time([line], {"title": {"text": "°C"}})
        plots.append(Plot("temperature", "Temperature", "Skin temperature of the simulated phone.", layout))
    elif headroom["x"]:
        layout = _over_time([headroom], {"title": {"text": "‰"}})
        plots.append(Plot("headroom", "Headroom", "How much of the way to severe throttling is used up.", layout))
    if status["x"]:
        layout = _over_time([status], {"title": {"text": "status"}, "range": [-0.2, 6.2]})
        plots.append(Plot("status", "Thermal status", "From 0, none, to 6, shutdown; 3 is severe.", layout))
    return plots


def _sensor(name: str, frames: Sequence[Frame], value: Callable[[Reading], int | None], color: str) -> Figure:
    known = [frame for frame in frames if value(frame.reading) is not None]
    return _steps(name, known, lambda frame: value(frame.reading), color)


def _steps(name: str, frames: Sequence[Frame], value: Callable[[Frame], Any], color: str) -> Figure:
    """A line that keeps each value until the next; frames that change nothing are left out."""
    kept = _changes(frames, value)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [_minutes(frame) for frame in kept],
        "y": [value(frame) for frame in kept],
        "line": {"shape": "hv", "color": color},
    }


def _changes(frames: Sequence[Frame], value: Callable[[Frame], Any]) -> list[Frame]:
    if not frames:
        return []
    changed = [after for before, after in pairwise(frames) if value(before) != value(after)]
    return [frames[0], *changed, frames[-1]]


def _marks(frames: Sequence[Frame], action: Action) -> Figure:
    marked = [frame for frame in frames if frame.decision.action is action]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": action.replace("_", " "),
        "x": [_minutes(frame) for frame in marked],
        "y": [frame.decision.variant for frame in marked],
        "marker": {"color": ACTION_COLORS[action], "size": 6},
    }


def _minutes(frame: Frame) -> float:
    return round(frame.reading.time_ms / 60_000, 4)


def _over_time(data: Sequence[Figure], yaxis: Figure) -> Figure:
    legend = {"orientation": "h", "y": 1.0, "yanchor": "bottom"}
    axis = {"automargin": True, **yaxis}
    return figure(data, height=HEIGHT_PX, xaxis={"title": {"text": "minutes"}}, yaxis=axis, legend=legend)
