from __future__ import annotations

from pathlib import Path

import pytest

from pocketfit.search.allowed import Allowed
from pocketfit.search.outcome import Outcome, State
from pocketfit.search.ruling_out import is_ruled_out
from pocketfit.search.space import Deployment, Point, Space
from pocketfit.search.study import Study, sqlite_url
from pocketfit.types import Precision

SHAPE = (3, 32, 32)
INT8, FLOAT = (Deployment("litert", precision) for precision in (Precision.INT8, Precision.FLOAT32))
ALLOWED = Allowed(drop=2.0, size_bytes=1000, latency_ms=5.0)


def point(macs: int, deployment: Deployment = INT8, shape: tuple[int, ...] = SHAPE) -> Point:
    return Point(macs, shape, deployment)


def known(macs: int, deployment: Deployment = INT8, **figures: object) -> list[Outcome]:
    return [Outcome(point(macs, deployment), State.STOPPED, **figures)]  # type: ignore[arg-type]


@pytest.mark.parametrize(("macs", "deployment", "ruled_out"), [(50, FLOAT, True), (90, FLOAT, True), (50, INT8, False)])
def test_weights_of_a_smaller_network_that_are_too_large(macs: int, deployment: Deployment, ruled_out: bool) -> None:
    tried = known(50, INT8, parameters=300)  # 270 bytes at least in INT8, 1,080 in float
    assert is_ruled_out(point(macs, deployment), tried, ALLOWED, predicted=False) is ruled_out


def test_weights_of_a_larger_network_tell_nothing() -> None:
    assert not is_ruled_out(point(40, FLOAT), known(50, parameters=300), ALLOWED, predicted=False)


def test_predicted_latency_of_a_smaller_network_in_the_same_deployment() -> None:
    slow = known(50, latency_ms=6.0)
    assert is_ruled_out(point(60), slow, ALLOWED, predicted=True)
    assert not is_ruled_out(point(60), slow, ALLOWED, predicted=False)
    assert not is_ruled_out(point(60, FLOAT), slow, ALLOWED, predicted=True)
    assert not is_ruled_out(point(40), slow, ALLOWED, predicted=True)


def test_what_a_network_lost_in_float_before_it_was_pruned_further() -> None:
    lost = known(50, drop=20.0)
    assert is_ruled_out(point(40, FLOAT), lost, ALLOWED, predicted=False)
    assert is_ruled_out(point(50, FLOAT), lost, ALLOWED, predicted=False)
    assert not is_ruled_out(point(60), lost, ALLOWED, predicted=False)


def test_what_was_lost_once_it_was_converted_may_be_the_deployments_fault() -> None:
    assert not is_ruled_out(point(40, FLOAT), known(50, drop=20.0, size_bytes=300), ALLOWED, predicted=False)


def test_another_resolution_is_another_network() -> None:
    tried = known(50, drop=20.0, parameters=10_000)
    assert not is_ruled_out(point(50, shape=(3, 24, 24)), tried, ALLOWED, predicted=True)


def test_a_study_proposes_nothing_that_is_ruled_out(tmp_path: Path) -> None:
    space = Space((100, 70, 40), (SHAPE,), (INT8, FLOAT))
    study = Study(
        space,
        sqlite_url(tmp_path / "study.db"),
        "short",
        is_ruled_out=lambda point, outcomes: bool(outcomes) and point.deployment == FLOAT,
    )
    asked = []
    while (proposal := study.ask()) is not None:
        number, chosen = proposal
        asked.append(chosen)
        study.tell(number, Outcome(chosen, State.PROVED, drop=1.0, latency_ms=1.0, size_bytes=1))

    assert sorted(one.macs for one in asked) == [40, 70, 100]
    assert {one.deployment for one in asked} == {INT8}
    assert study.ruled_out == {point for point in space.points() if point.deployment == FLOAT}
