"""Latency of every artifact, per thread count."""

from __future__ import annotations

from collections.abc import Sequence

from pocketfit.report.plots import COLORS, Figure, Plot, figure, height_of_bars
from pocketfit.report.rows import Row
from pocketfit.report.titles import title_of
from pocketfit.types import Evidence, Latency

__all__ = ["latency"]


def latency(rows: Sequence[Row]) -> Plot:
    """Bars of the median, with whiskers up to the 90th percentile."""
    measured = [(_name(row), row.candidate.evidence) for row in rows if row.candidate.evidence is not None]
    threads = sorted({item.threads for _, evidence in measured for item in evidence.latencies})
    return Plot(
        "latency",
        "Latency",
        "Median time of one inference of every artifact per number of threads; whiskers reach to the 90th percentile.",
        figure(
            [_bars(measured, count, COLORS[index % len(COLORS)]) for index, count in enumerate(threads)],
            height=height_of_bars(len(measured) * len(threads)),
            barmode="group",
            xaxis={"title": {"text": "ms"}, "rangemode": "tozero"},
            yaxis={"autorange": "reversed", "automargin": True},
            legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "traceorder": "normal"},
        ),
    )


def _bars(measured: Sequence[tuple[str, Evidence]], threads: int, color: str) -> Figure:
    bars = [(name, item) for name, evidence in measured for item in evidence.latencies if item.threads == threads]
    return {
        "type": "bar",
        "orientation": "h",
        "name": f"{threads} thread{'' if threads == 1 else 's'}",
        "y": [name for name, _ in bars],
        "x": [item.median_ms for _, item in bars],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [item.p90_ms - item.median_ms for _, item in bars],
            "arrayminus": [0] * len(bars),
            "thickness": 1.5,
            "width": 3,
            "color": COLORS[-1],
        },
        "text": [_hover(name, item) for name, item in bars],
        "textposition": "none",
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"color": color},
    }


def _name(row: Row) -> str:
    return f"{title_of(row.candidate.runtime)} {row.candidate.precision}"


def _hover(name: str, item: Latency) -> str:
    return f"{name}<br>median {item.median_ms:.2f} ms, p90 {item.p90_ms:.2f} ms<br>{item.runs} runs, {item.where}"
