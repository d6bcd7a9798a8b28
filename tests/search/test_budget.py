from collections.abc import Callable
from dataclasses import replace

import pytest

from pocketfit.errors import OptionError
from pocketfit.search.budget import (
    DEFAULT_MAX_DROP_POINTS,
    fits,
    guarded,
    misses,
    parse_bytes,
    parse_max_drop,
)
from pocketfit.search.choose import lost
from pocketfit.types import Budget, Candidate, Precision

Build = Callable[..., Candidate]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1%", 1.0),
        ("0.5", 0.5),
        ("0.5pt", 0.5),
        (" 2 points ", 2.0),
        (".5%", 0.5),
        ("0", 0.0),
        ("1 PT", 1.0),
        ("100", 100.0),
    ],
)
def test_drop_is_read_as_percentage_points(text: str, expected: float) -> None:
    assert parse_max_drop(text) == expected


@pytest.mark.parametrize("text", ["", "-1%", "1%%", "nan", "inf", "101", "1e3", "half", "1MB", "1,5"])
def test_other_drops_are_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(OptionError, match=r"--max-drop .* Allowed .* 1%") as caught:
        parse_max_drop(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4MB", 4_000_000),
        ("350kB", 350_000),
        ("1.5MiB", 1_572_864),
        ("123456", 123_456),
        ("1 gb", 1_000_000_000),
        ("2KiB", 2048),
        ("1B", 1),
    ],
)
def test_size_is_read_as_bytes(text: str, expected: int) -> None:
    assert parse_bytes("--max-size", text) == expected


@pytest.mark.parametrize("text", ["", "0", "0.5", "-4MB", "4 apples", "4Mb/s", "nan", "MB", "1e6", "4M"])
def test_other_sizes_are_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(OptionError, match=r"--max-size .* Allowed .* 4MB"):
        parse_bytes("--max-size", text)


def test_misses_say_how_far_off_each_limit_is(candidate: Build) -> None:
    row = candidate(Precision.INT8, drop=2.3, size_bytes=4_300_000)
    assert misses(row, Budget(max_drop_points=1.0, max_size_bytes=4_000_000)) == (
        "drop 2.3 points, 1.3 over the 1.0 allowed",
        "4.30 MB, 300 kB over the 4.00 MB allowed",
    )


def test_memory_is_a_limit(candidate: Build) -> None:
    row = candidate(Precision.INT8)  # takes 20 MB
    assert misses(row, Budget(max_memory_bytes=20_000_000)) == ()
    assert misses(row, Budget(max_memory_bytes=16_000_000)) == ("20.0 MB of memory, 4.00 MB over the 16.0 MB allowed",)
    with pytest.raises(OptionError, match=r"--max-memory 'lots' is not a size.*--max-memory 4MB"):
        parse_bytes("--max-memory", "lots")


def test_an_excess_is_never_shown_as_zero(candidate: Build) -> None:
    row = candidate(Precision.INT8, drop=1.004, size_bytes=4_000_012)
    assert misses(row, Budget(max_drop_points=1.0, max_size_bytes=4_000_000)) == (
        "drop 1.0 points, 0.004 over the 1.0 allowed",
        "4.00 MB, 12 B over the 4.00 MB allowed",
    )


def test_a_limit_itself_is_allowed_in_spite_of_rounding(candidate: Build) -> None:
    row = candidate(Precision.INT8, drop=90.2 - 89.2, size_bytes=4_000_000)
    assert fits(row, Budget(max_drop_points=1.0, max_size_bytes=4_000_000))


def test_a_drop_that_cannot_be_known_does_not_fit_a_drop_that_was_asked_for(candidate: Build) -> None:
    row = candidate(Precision.INT8, drop=None)
    assert misses(row, Budget(max_drop_points=1.0)) == ("drop unknown, because the held-out data has no labels",)
    assert fits(row, Budget(max_size_bytes=5_000_000))


def test_without_evidence_nothing_fits_and_nothing_is_missed(failed: Build) -> None:
    row = failed(Precision.INT8, "no kernel")
    assert misses(row, Budget(max_size_bytes=1)) == ()
    assert not fits(row, Budget())


def test_the_default_drop_guards_only_a_known_accuracy_and_never_overrides(candidate: Build) -> None:
    labelled, unlabelled = candidate(Precision.INT8), candidate(Precision.INT8, drop=None)
    assert labelled.evidence is not None
    assert unlabelled.evidence is not None
    assert guarded(Budget(), labelled.evidence).max_drop_points == DEFAULT_MAX_DROP_POINTS
    assert guarded(Budget(max_drop_points=5.0), labelled.evidence).max_drop_points == 5.0
    assert guarded(Budget(), unlabelled.evidence).max_drop_points is None


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [("0.1dB", "dB", 0.1), ("0.1 db", "dB", 0.1), ("2", "dB", 2.0), ("0.003", "", 0.003), ("3 K", "K", 3.0)],
)
def test_a_drop_is_read_in_the_metrics_own_unit(text: str, unit: str, expected: float) -> None:
    assert parse_max_drop(text, unit) == expected


@pytest.mark.parametrize(("text", "unit"), [("1%", "dB"), ("0.1dB", ""), ("0.5 points", ""), ("-1", "dB"), ("", "")])
def test_another_unit_is_refused_with_an_example(text: str, unit: str) -> None:
    with pytest.raises(OptionError, match=rf"--max-drop .* Write for example --max-drop 0\.1{unit}"):
        parse_max_drop(text, unit)


def test_decibels_do_not_pass_for_points() -> None:
    with pytest.raises(OptionError, match="percentage points"):
        parse_max_drop("0.1dB")


def in_unit(row: Candidate, unit: str, *, lost: float, value: float = 30.0) -> Candidate:
    assert row.evidence is not None and row.evidence.accuracy is not None
    accuracy = replace(row.evidence.accuracy, metric="m", unit=unit, drop_points=lost, float_value=value)
    return replace(row, evidence=replace(row.evidence, accuracy=accuracy))


def test_misses_and_defaults_have_the_metrics_unit(candidate: Build) -> None:
    decibels, errors = (in_unit(candidate(Precision.INT8), *one, lost=0.6) for one in (("dB",), ("",)))
    assert misses(decibels, Budget(max_drop_points=0.1)) == ("drop 0.60 dB, 0.50 over the 0.10 allowed",)
    assert misses(errors, Budget(max_drop_points=0.1)) == ("drop 0.6, 0.5 over the 0.1 allowed",)
    assert decibels.evidence is not None and errors.evidence is not None
    assert guarded(Budget(), decibels.evidence).max_drop_points == 0.5
    assert guarded(Budget(), errors.evidence).max_drop_points == pytest.approx(1.5)  # 5% of 30


@pytest.mark.parametrize(
    ("unit", "change", "words"),
    [
        ("%", 0.2, "0.2 points lost"),
        ("%", 0.0, "no accuracy lost"),
        ("dB", 0.128, "m 0.13 dB worse"),
        ("", -0.01168, "m 0.0117 better"),
        ("dB", 1e-5, "m the same"),
    ],
)
def test_a_drop_in_words(candidate: Build, unit: str, change: float, words: str) -> None:
    evidence = in_unit(candidate(Precision.INT8), unit, lost=change).evidence
    assert evidence is not None and evidence.accuracy is not None
    assert lost(evidence.accuracy) == words
