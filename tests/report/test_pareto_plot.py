from __future__ import annotations

from dataclasses import replace

from pocketfit.report.plots.pareto import pareto
from pocketfit.search.outcome import Outcome, State
from pocketfit.search.space import Deployment, Point
from pocketfit.types import Budget, Precision

POINT = Point(100, (3, 32, 32), Deployment("ncnn", Precision.INT8))
SMALL = Outcome(POINT, State.PROVED, drop=0.5, latency_ms=2.0, size_bytes=1_000_000)
BEATEN = replace(SMALL, drop=1.5)
OTHER = replace(SMALL, point=replace(POINT, deployment=Deployment("mnn", Precision.INT8)), drop=0.2, latency_ms=4.0)
STOPPED = Outcome(POINT, State.STOPPED, "its weights alone take 8 MB")


def test_every_proved_candidate_is_a_mark_and_the_front_is_filled(result) -> None:
    budget = Budget(max_drop_points=1.0, max_size_bytes=2_000_000)
    plot = pareto(replace(result, budget=budget), (SMALL, BEATEN, OTHER, STOPPED))

    ncnn, mnn = plot.figure["data"]
    assert (ncnn["x"], ncnn["y"]) == ([1.0, 1.0], [0.5, 1.5])
    assert ncnn["marker"]["symbol"] == ["circle", "circle-open"]
    assert mnn["marker"]["symbol"] == ["circle"]
    assert "4 candidates were tried: 3 proved on all samples, 1 stopped" in plot.description
    assert [line.get("x0") for line in plot.figure["layout"]["shapes"]] == [0, 2.0]
