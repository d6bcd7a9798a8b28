from __future__ import annotations

from dataclasses import replace

import pytest

from pocketfit.search.allowed import Allowed
from pocketfit.search.outcome import Outcome, State
from pocketfit.search.pareto import best, front
from pocketfit.search.space import Deployment, Point
from pocketfit.types import Precision

POINT = Point(100, (3, 32, 32), Deployment("ncnn", Precision.INT8))


def outcome(drop: float, latency_ms: float, size_bytes: int, over: float = 0.0) -> Outcome:
    return Outcome(POINT, State.PROVED, drop=drop, latency_ms=latency_ms, size_bytes=size_bytes, over=over)


EXACT = outcome(0.0, 9.0, 900)
SMALL = outcome(2.0, 5.0, 100)
FAST = outcome(1.0, 2.0, 500)
BEATEN = outcome(1.0, 3.0, 500)


def test_the_front_has_those_that_none_beats_the_smallest_first() -> None:
    stopped = replace(SMALL, state=State.STOPPED, size_bytes=1)

    assert front([EXACT, BEATEN, FAST, stopped, SMALL]) == (SMALL, FAST, EXACT)


def test_equal_figures_stay_both() -> None:
    twin = replace(FAST, macs=7)

    assert set(front([FAST, twin])) == {FAST, twin}


def test_the_best_keeps_the_limits() -> None:
    over = replace(SMALL, over=0.5)

    assert best([EXACT, FAST, over], "size") == FAST
    assert best([EXACT, SMALL, FAST], "size") == SMALL
    assert best([EXACT, SMALL, FAST], "latency") == FAST
    assert best([over], "size") is None


def test_how_far_over() -> None:
    allowed = Allowed(drop=0.5, size_bytes=400, latency_ms=4.0)

    # drop 1.5 above, counted in whole points; latency a quarter above; size within
    assert allowed.over(SMALL) == pytest.approx(1.5 + 0.25)
    assert Allowed(drop=2.0).over(SMALL) == 0
