from collections.abc import Callable

import pytest
from torch import nn

from pocketfit.devices.profile import find_profile
from pocketfit.inspection.cost import Inspection, inspect_model
from pocketfit.models.canonical import canonicalise
from pocketfit.search.field import survey
from pocketfit.types import Budget, Candidate, LoadedModel, Precision

Build = Callable[..., Candidate]
BUDGET = Budget(max_drop_points=1.0)


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    layers = (nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 1))
    return canonicalise(nn.Sequential(*layers), (3, 64, 64), name="small")


@pytest.fixture(scope="module")
def inspection(model: LoadedModel) -> Inspection:
    return inspect_model(model)


def test_each_phone_of_a_tier_gets_what_is_fastest_on_it(
    model: LoadedModel, inspection: Inspection, candidate: Build
) -> None:
    rows = [
        candidate(precision, runtime=runtime)
        for runtime in ("ncnn", "litert")
        for precision in (Precision.FLOAT16, Precision.INT8)
    ]
    found = survey(model, inspection, rows, BUDGET, ("high", "low"))
    assert [one.tier for one in found] == sorted((one.tier for one in found), key=("high", "low").index)
    by_device = {one.device: one for one in found}
    assert by_device["samsung-galaxy-s25"].processor == "npu"
    assert by_device["samsung-galaxy-s25"].runtime == "litert"
    assert by_device["oneplus-7t"].runtime == "ncnn"
    known = [one for one in found if one.ms is not None]
    assert all(one.low_ms < one.ms < one.high_ms for one in known if one.low_ms and one.ms and one.high_ms)
    assert all(one.accuracy == pytest.approx(89.8) and one.size_bytes == 4_000_000 for one in known)
    assert all(find_profile(one.device).kind == "phone" for one in found)


def test_what_is_over_budget_or_was_not_run_is_not_chosen(
    model: LoadedModel, inspection: Inspection, candidate: Build, failed: Build, not_run: Build
) -> None:
    rows = [
        candidate(Precision.FLOAT32, runtime="ncnn"),
        candidate(Precision.INT8, runtime="ncnn", drop=3.0),
        failed(Precision.FLOAT16, "no", runtime="ncnn"),
        not_run(Precision.FLOAT16),
    ]
    found = survey(model, inspection, rows, BUDGET, ("low",))
    assert {one.precision for one in found} == {Precision.FLOAT32, None}
    assert {one.runtime for one in found} == {"ncnn", None}
    assert found[-1].ms is None  # phones without figures are last


def test_without_tiers_there_is_no_table(model: LoadedModel, inspection: Inspection, candidate: Build) -> None:
    assert survey(model, inspection, [candidate(Precision.INT8)], BUDGET, ()) == ()
