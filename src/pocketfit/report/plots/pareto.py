"""What a search has tried: size against drop, the front joined by a line."""

from __future__ import annotations

from collections.abc import Sequence

from pocketfit.report.plots import COLORS, Figure, Plot, figure
from pocketfit.report.titles import title_of
from pocketfit.search.outcome import Outcome, State
from pocketfit.search.pareto import front
from pocketfit.search.units import drop, milliseconds, size, unit_of_drop
from pocketfit.types import FitResult

__all__ = ["pareto"]

MEGABYTE = 1e6
POINT_PX = 10


def pareto(result: FitResult, tried: Sequence[Outcome]) -> Plot:
    """Every candidate that was proved; those that no other one beats in drop, latency and size are filled."""
    proved = [one for one in tried if one.state is State.PROVED]
    best = set(front(proved))
    runtimes = dict.fromkeys(one.point.deployment.runtime for one in proved)
    unit = result.metric.unit
    traces = [
        _trace([one for one in proved if one.point.deployment.runtime == name], title_of(name), color, best, unit)
        for name, color in zip(runtimes, COLORS * len(runtimes), strict=False)
    ]
    counted = unit_of_drop(unit)
    drawn = figure(
        traces,
        height=400,
        xaxis={"title": {"text": "size (MB)"}, "rangemode": "tozero"},
        yaxis={"title": {"text": f"drop ({counted})" if counted else "drop"}},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom"},
        shapes=_limits(result),
    )
    stopped = sum(one.state is State.STOPPED for one in tried)
    failed = sum(one.state is State.FAILED for one in tried)
    description = (
        f"{len(tried)} candidates were tried: {len(proved)} proved on all samples, {stopped} stopped before because "
        f"they could not fit, {failed} failed. Filled are those that none beats in drop, latency and size at once; "
        "dotted lines are the budget."
    )
    return Plot("pareto", "What the search has found", description, drawn)


def _trace(own: Sequence[Outcome], name: str, color: str, best: set[Outcome], unit: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [(one.size_bytes or 0) / MEGABYTE for one in own],
        "y": [one.drop for one in own],
        "text": [_hover(one, unit) for one in own],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {
            "color": color,
            "size": POINT_PX,
            "symbol": ["circle" if one in best else "circle-open" for one in own],
        },
    }


def _hover(outcome: Outcome, unit: str) -> str:
    lines = (
        str(outcome.point),
        f"drop {drop(outcome.drop or 0.0, unit)}",
        milliseconds(outcome.latency_ms or 0.0),
        size(outcome.size_bytes or 0),
    )
    return "<br>".join(lines)


def _limits(result: FitResult) -> list[Figure]:
    budget = result.budget
    lines = [("y", budget.max_drop_points)]
    lines.append(("x", None if budget.max_size_bytes is None else budget.max_size_bytes / MEGABYTE))
    return [_line(axis, at) for axis, at in lines if at is not None]


def _line(axis: str, at: float) -> Figure:
    other = "y" if axis == "x" else "x"
    return {
        "type": "line",
        "layer": "below",
        "line": {"color": COLORS[-1], "dash": "dot", "width": 1.5},
        f"{axis}0": at,
        f"{axis}1": at,
        f"{axis}ref": axis,
        f"{other}0": 0,
        f"{other}1": 1,
        f"{other}ref": "paper",
    }
