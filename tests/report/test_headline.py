from dataclasses import replace

from pocketfit.report.headline import headline
from pocketfit.search.choose import choose
from pocketfit.types import Budget, FitResult, Precision


def only(result: FitResult, runtime: str, *precisions: Precision) -> FitResult:
    kept = tuple(row for row in result.candidates if row.runtime == runtime and row.precision in precisions)
    return replace(result, candidates=kept, choices=choose(kept, result.budget))


def test_the_best_of_the_chosen_is_told(result: FitResult) -> None:
    assert headline(result) == "3.7x smaller, 0.1 points lost, 2.3x faster in ONNX Runtime on this host"


def test_slower_is_said_as_such(result: FitResult) -> None:
    ncnn = only(result, "ncnn", Precision.FLOAT32, Precision.INT8)
    assert headline(ncnn) == "3.9x smaller, 0.5 points lost, 1.1x slower in ncnn on this host"


def test_a_difference_that_is_noise_is_none(result: FitResult) -> None:
    float16 = only(result, "ncnn", Precision.FLOAT32, Precision.FLOAT16)
    assert headline(float16) == "2.0x smaller, no accuracy lost, as fast as float32 in ncnn on this host"


def test_float32_has_figures_of_its_own(result: FitResult) -> None:
    unlimited = replace(result, budget=Budget())
    float32 = only(unlimited, "ncnn", Precision.FLOAT32)
    assert headline(float32) == "14.0 MB as float32, no accuracy lost, 12.1 ms in ncnn on this host"


def test_nothing_chosen(result: FitResult) -> None:
    budget = Budget(max_size_bytes=1000)
    assert headline(replace(result, budget=budget, choices=choose(result.candidates, budget))) == (
        "No artifact fits the budget"
    )
    failed = tuple(row for row in result.candidates if row.failure)
    assert headline(replace(result, candidates=failed, choices=choose(failed, budget))) == "No artifact could be made"


def test_what_was_converted_but_not_run_is_no_failure(not_run: FitResult) -> None:
    rows = tuple(row for row in not_run.candidates if row.not_run is not None)
    assert headline(replace(not_run, candidates=rows, choices=())) == "Converted, not run here"
