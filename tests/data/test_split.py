from __future__ import annotations

import pytest

from pocketfit.data.split import split
from pocketfit.errors import DataError, OptionError


def keys(count: int) -> list[bytes]:
    return [f"class/image{number}.png".encode() for number in range(count)]


@pytest.mark.parametrize(
    ("count", "calibration", "evaluation", "expected"),
    [
        (300, 100, None, (100, 200)),
        (300, 100, 50, (100, 50)),
        (200, 100, None, (100, 100)),
        (199, 100, None, (99, 100)),
        (8, 100, None, (4, 4)),
        (9, 100, 2, (4, 2)),
        (20, 1, 1000, (1, 19)),
    ],
)
def test_sizes(count, calibration, evaluation, expected):
    chosen = split(keys(count), calibration, evaluation, "data")
    assert (len(chosen.calibration), len(chosen.evaluation)) == expected
    assert not set(chosen.calibration) & set(chosen.evaluation)
    assert bool(chosen.notes) == (expected[0] < calibration)


def test_the_note_says_how_many():
    (note,) = split(keys(50), 100, None, "data").notes
    assert "Of 50 samples 25 calibrate, not 100" in note


def test_the_split_depends_on_nothing_but_the_keys():
    first = split(keys(50), 10, None, "data")
    turned = list(reversed(keys(50)))
    second = split(turned, 10, None, "elsewhere")
    assert [keys(50)[position] for position in first.calibration] == [turned[p] for p in second.calibration]
    # Frozen: results that users stored rest on it.
    assert first.calibration[:5] == (36, 0, 31, 15, 48)


def test_more_evaluation_keeps_the_calibration():
    assert split(keys(50), 10, 5, "data").calibration == split(keys(50), 10, 30, "data").calibration


@pytest.mark.parametrize("count", [0, 1, 7])
def test_too_few(count):
    with pytest.raises(DataError, match=f"holds {count} samples; at least 8"):
        split(keys(count), 100, None, "data")


@pytest.mark.parametrize(("calibration", "evaluation"), [(0, None), (-1, None), (10, 0), (10, -5)])
def test_numbers_below_one(calibration, evaluation):
    with pytest.raises(OptionError, match="at least 1"):
        split(keys(50), calibration, evaluation, "data")
