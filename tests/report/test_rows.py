from dataclasses import replace

import pytest

from pocketfit.report.rows import Row, Verdict, comparison, kernels_of, size_of
from pocketfit.types import Budget, Candidate, FitResult, Precision


def find(rows: tuple[Row, ...], runtime: str, precision: Precision) -> Row:
    return next(row for row in rows if (row.candidate.runtime, row.candidate.precision) == (runtime, precision))


def test_ratios_are_to_float32_of_the_same_runtime(result: FitResult) -> None:
    row = find(comparison(result), "ncnn", Precision.INT8)
    assert row.size_ratio == pytest.approx(3.62 / 13.96)  # the sizes are whole bytes of these
    assert row.latency_ratio == pytest.approx(13.7 / 12.1)


def test_without_float32_there_is_no_ratio(result: FitResult) -> None:
    only_int8 = tuple(row for row in result.candidates if row.precision is Precision.INT8)
    assert all(row.size_ratio is row.latency_ratio is None for row in comparison(replace(result, candidates=only_int8)))


def test_verdicts(result: FitResult) -> None:
    assert [row.verdict for row in comparison(result)] == [
        *(Verdict.OVER_BUDGET, Verdict.FITS, Verdict.CHOSEN),
        *(Verdict.OVER_BUDGET, Verdict.FAILED, Verdict.CHOSEN),
        *(Verdict.OVER_BUDGET, Verdict.FITS, Verdict.CHOSEN),
    ]


def test_the_default_guard_is_part_of_the_budget(result: FitResult) -> None:
    row = result.candidates[2]
    assert row.evidence is not None
    assert row.evidence.accuracy is not None
    worse = replace(row, evidence=replace(row.evidence, accuracy=replace(row.evidence.accuracy, drop_points=1.4)))
    (judged,) = comparison(replace(result, candidates=(worse,), budget=Budget()))
    assert judged.verdict is Verdict.OVER_BUDGET
    assert judged.why == "drop 1.4 points, 0.4 over the 1.0 allowed"


def test_what_was_not_run_has_a_size_and_kernels_but_is_never_chosen(not_run: FitResult) -> None:
    row = find(comparison(not_run), "coreml", Precision.INT8)
    assert (row.verdict, row.why) == (Verdict.NOT_RUN, "Core ML runs on macOS only, and this is Linux")
    assert (row.size_ratio, row.latency_ratio) == (0.25, None)
    assert size_of(row.candidate) == 750_000
    assert kernels_of(row.candidate) is not None


def test_a_candidate_without_evidence_or_failure_failed_as_well(result: FitResult) -> None:
    (row,) = comparison(replace(result, candidates=(Candidate("mnn", Precision.INT8),)))
    assert (row.verdict, row.why) == (Verdict.FAILED, "it was not measured")
