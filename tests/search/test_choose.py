from collections.abc import Callable

from pocketfit.search.choose import choose
from pocketfit.types import Budget, Candidate, Precision

Build = Callable[..., Candidate]
F32, F16, I8 = Precision.FLOAT32, Precision.FLOAT16, Precision.INT8


def test_the_smallest_within_the_budget_is_chosen_per_runtime_in_table_order(candidate: Build) -> None:
    rows = [
        candidate(F32, runtime="ncnn", size_bytes=14_000_000, ms=8, drop=0.0),
        candidate(F32, runtime="litert", size_bytes=14_000_000, ms=8, drop=0.0),
        candidate(I8, runtime="ncnn", size_bytes=3_700_000, ms=5),
        candidate(I8, runtime="litert", size_bytes=4_000_000, ms=4),
    ]
    choices = choose(rows, Budget())
    assert [(choice.runtime, choice.precision) for choice in choices] == [("ncnn", I8), ("litert", I8)]


def test_the_reason_names_the_figures_of_the_runner_up(candidate: Build) -> None:
    rows = [
        candidate(F32, size_bytes=14_000_000, ms=8, drop=0.0),
        candidate(F16, size_bytes=7_000_000, ms=9, drop=0.0),
        candidate(I8, size_bytes=3_740_000, ms=4.32, drop=0.2),
    ]
    (choice,) = choose(rows, Budget())
    assert choice.reason == (
        "int8 is the smallest that fits: 3.74 MB and 4.32 ms on one thread, 0.2 points lost, "
        "against 7.00 MB and 9.00 ms for the runner-up float16"
    )


def test_latency_can_be_preferred_and_size_breaks_its_ties(candidate: Build) -> None:
    rows = [
        candidate(F32, size_bytes=14_000_000, ms=4),
        candidate(F16, size_bytes=7_000_000, ms=4),
        candidate(I8, size_bytes=3_000_000, ms=6),
    ]
    (choice,) = choose(rows, Budget(), prefer="latency")
    assert choice.precision is F16
    assert choice.reason.startswith("float16 is the fastest that fits: 7.00 MB and 4.00 ms")


def test_equal_sizes_are_settled_by_latency(candidate: Build) -> None:
    (choice,) = choose([candidate(F32, ms=5), candidate(F16, ms=4)], Budget())
    assert choice.precision is F16


def test_int8_that_is_slower_than_float_says_so(candidate: Build) -> None:
    (choice,) = choose([candidate(F32, size_bytes=14_000_000, ms=9), candidate(I8, ms=13)], Budget())
    assert choice.precision is I8
    assert choice.reason.endswith("it is slower than float32 on this host (13.0 ms against 9.00 ms)")


def test_without_a_drop_one_point_is_the_guard(candidate: Build) -> None:
    rows = [candidate(F32, size_bytes=14_000_000, drop=0.0), candidate(I8, drop=1.5)]
    (guarded,) = choose(rows, Budget())
    (asked,) = choose(rows, Budget(max_drop_points=2.0))
    assert guarded.precision is F32
    assert "int8 is over budget (drop 1.5 points, 0.5 over the 1.0 allowed)" in guarded.reason
    assert asked.precision is I8


def test_without_labels_the_guard_does_not_apply(candidate: Build) -> None:
    (choice,) = choose([candidate(F32, size_bytes=14_000_000, drop=None), candidate(I8, drop=None)], Budget())
    assert choice.precision is I8
    assert "points" not in choice.reason


def test_when_nothing_fits_the_nearest_miss_is_named(candidate: Build) -> None:
    rows = [
        candidate(F32, size_bytes=14_000_000, drop=0.0),
        candidate(F16, size_bytes=7_000_000, drop=0.0),
        candidate(I8, size_bytes=4_000_000, drop=0.2),
    ]
    (choice,) = choose(rows, Budget(max_size_bytes=3_900_000))
    assert choice.precision is None
    assert choice.reason == (
        "nothing fits the budget; the nearest miss is int8: 4.00 MB, 100 kB over the 3.90 MB allowed"
    )


def test_a_zero_drop_can_be_missed(candidate: Build) -> None:
    (choice,) = choose([candidate(I8, drop=0.2)], Budget(max_drop_points=0.0))
    assert choice.reason.endswith("int8: drop 0.2 points, 0.2 over the 0.0 allowed")


def test_a_failed_candidate_is_no_choice_but_is_named(candidate: Build, failed: Build) -> None:
    (choice,) = choose([candidate(F32, drop=0.0), failed(I8, "no kernel for aten.foo")], Budget())
    assert choice.precision is F32
    assert choice.reason == (
        "float32 is the only one that fits: 4.00 MB and 5.00 ms on one thread, no accuracy lost; int8 failed at convert"
    )


def test_when_all_failed_the_reasons_are_given_once_each(failed: Build) -> None:
    rows = [failed(F32, "no kernel for aten.foo"), failed(F16, "no kernel for aten.foo"), failed(I8, "out of memory")]
    (choice,) = choose(rows, Budget())
    assert choice.precision is None
    assert choice.reason == (
        "nothing ran; float32, float16 failed at convert: no kernel for aten.foo; int8 failed at convert: out of memory"
    )


def test_what_was_not_run_is_no_choice_however_small(candidate: Build, not_run: Build) -> None:
    own, other = choose([candidate(F32, size_bytes=9_000_000), candidate(I8), not_run(F32), not_run(I8)], Budget())
    assert (own.precision, other.precision) == (I8, None)
    assert other.reason == "float32, int8 converted, not run here: it runs on macOS only"


def test_what_was_not_run_is_named_beside_what_failed(not_run: Build, failed: Build) -> None:
    (choice,) = choose([not_run(F32), failed(I8, "no kernel", runtime="coreml")], Budget())
    assert choice.reason == (
        "nothing ran; float32 converted, not run here: it runs on macOS only; int8 failed at convert: no kernel"
    )


def test_no_candidates_no_choices() -> None:
    assert choose([], Budget()) == ()
