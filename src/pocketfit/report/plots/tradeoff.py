"""Size against the metric against latency, one bubble per artifact."""

from __future__ import annotations

from collections.abc import Sequence

from pocketfit.report.plots import COLORS, Figure, Plot, figure
from pocketfit.report.rows import Row
from pocketfit.report.titles import title_of
from pocketfit.search.budget import guarded
from pocketfit.search.units import drop, milliseconds, size
from pocketfit.search.units import figure as figure_of
from pocketfit.types import Accuracy, Evidence, FitResult, Precision

__all__ = ["tradeoff"]

LARGEST_PX = 38
SMALLEST_PX = 9
PLAIN_PX = 16
MEGABYTE = 1e6
_SYMBOLS = {Precision.FLOAT32: "circle", Precision.FLOAT16: "diamond", Precision.INT8: "square"}


def tradeoff(result: FitResult, rows: Sequence[Row]) -> Plot:
    """Size against the metric, the bubbles as large as the latency; without labels, size against latency."""
    measured = [(row, row.candidate.evidence) for row in rows if row.candidate.evidence is not None]
    labelled = any(evidence.accuracy is not None for _, evidence in measured)
    traces = [*_runtimes(measured, labelled), *_precisions(measured)]
    drawn = figure(
        traces,
        height=440,
        xaxis={"title": {"text": "size (MB)"}, "rangemode": "tozero"},
        yaxis=_accuracy_axis(result, measured) if labelled else {"title": {"text": "median on 1 thread (ms)"}},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "itemsizing": "constant"},
        shapes=_limits(result, measured, labelled),
    )
    if not labelled:
        return Plot("tradeoff", "Size and latency", "Size of every artifact against its one-thread latency.", drawn)
    description = (
        f"Size of every artifact against its {_title(result)}; the area of a bubble is its one-thread latency. "
        "The dashed line is the float model, dotted lines are the budget."
    )
    named = "accuracy" if result.metric.answers else result.metric.name
    return Plot("tradeoff", f"Size, {named} and latency", description, drawn)


_Measured = Sequence[tuple[Row, Evidence]]


def _runtimes(measured: _Measured, labelled: bool) -> list[Figure]:
    """One trace per runtime, so that a runtime is a colour."""
    slowest_ms = max((evidence.median_ms() for _, evidence in measured), default=1.0)
    names = dict.fromkeys(row.candidate.runtime for row, _ in measured)
    traces = []
    for index, name in enumerate(names):
        own = [(row, evidence) for row, evidence in measured if row.candidate.runtime == name]
        traces.append(_bubbles(own, title_of(name), COLORS[index % len(COLORS)], labelled, slowest_ms))
    return traces


def _bubbles(own: _Measured, name: str, color: str, labelled: bool, slowest_ms: float) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [evidence.size_bytes / MEGABYTE for _, evidence in own],
        "y": [_height(evidence, labelled) for _, evidence in own],
        "text": [_hover(row, evidence) for row, evidence in own],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {
            "color": color,
            "opacity": 0.75,
            "symbol": [_SYMBOLS[row.candidate.precision] for row, _ in own],
            "size": [evidence.median_ms() if labelled else PLAIN_PX for _, evidence in own],
            **_areas(labelled, slowest_ms),
        },
    }


def _areas(labelled: bool, slowest_ms: float) -> Figure:
    """Let the area, not the width, stand for the latency."""
    if not labelled:
        return {}
    return {"sizemode": "area", "sizeref": 2 * slowest_ms / LARGEST_PX**2, "sizemin": SMALLEST_PX}


def _precisions(measured: _Measured) -> list[Figure]:
    """Empty traces that explain the shapes in the legend."""
    present = dict.fromkeys(row.candidate.precision for row, _ in measured)
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": precision.value,
            "x": [None],
            "y": [None],
            "marker": {"color": COLORS[-1], "symbol": _SYMBOLS[precision], "size": 10},
        }
        for precision in present
    ]


def _height(evidence: Evidence, labelled: bool) -> float | None:
    if not labelled:
        return evidence.median_ms()
    return None if evidence.accuracy is None else evidence.accuracy.value


def _hover(row: Row, evidence: Evidence) -> str:
    accuracy = evidence.accuracy
    lines = [
        f"{title_of(row.candidate.runtime)} {row.candidate.precision}",
        size(evidence.size_bytes),
        milliseconds(evidence.median_ms()) + " on one thread",
        *([] if accuracy is None else [_told(accuracy)]),
    ]
    return "<br>".join(lines)


def _told(accuracy: Accuracy) -> str:
    unit = accuracy.unit
    return f"{accuracy.metric} {figure_of(accuracy.value, unit)}, drop {drop(accuracy.drop_points, unit)}"


def _title(result: FitResult) -> str:
    metric = result.metric
    return f"{metric.name} ({metric.unit})" if metric.unit else metric.name


def _accuracy_axis(result: FitResult, measured: _Measured) -> Figure:
    """At least two hundredths high, or differences of a sample or two would look like cliffs."""
    levels = [evidence.accuracy.value for _, evidence in measured if evidence.accuracy is not None]
    levels += [level for level in (result.float_value, _least(result, measured)) if level is not None]
    full = 100.0 if result.metric.unit == "%" else max(map(abs, levels))
    middle, half = (max(levels) + min(levels)) / 2, max(0.01 * full, 0.65 * (max(levels) - min(levels)))
    return {"title": {"text": _title(result)}, "range": [middle - half, middle + half]}


def _least(result: FitResult, measured: _Measured) -> float | None:
    """The figure that the budget asks for."""
    allowed = [guarded(result.budget, evidence).max_drop_points for _, evidence in measured]
    worse = next((limit for limit in allowed if limit is not None), None)
    if worse is None or result.float_value is None:
        return None
    return result.float_value - worse if result.metric.higher_is_better else result.float_value + worse


def _limits(result: FitResult, measured: _Measured, labelled: bool) -> list[Figure]:
    lines = []
    if result.budget.max_size_bytes is not None:
        lines.append(_line("x", result.budget.max_size_bytes / MEGABYTE, "dot"))
    if labelled and result.float_value is not None:
        lines.append(_line("y", result.float_value, "dash"))
        least = _least(result, measured)
        lines += [] if least is None else [_line("y", least, "dot")]
    return lines


def _line(axis: str, at: float, dash: str) -> Figure:
    other = "y" if axis == "x" else "x"
    return {
        "type": "line",
        "layer": "below",
        "line": {"color": COLORS[-1], "dash": dash, "width": 1.5},
        f"{axis}0": at,
        f"{axis}1": at,
        f"{other}0": 0,
        f"{other}1": 1,
        f"{other}ref": "paper",
        f"{axis}ref": axis,
    }
