import math

import numpy as np
import pytest

from pocketfit.errors import DataError
from pocketfit.verify.accuracy import drop_interval, evaluate


def one_hot(classes: list[int]) -> np.ndarray:
    return np.eye(4, dtype=np.float32)[classes]


LABELS = np.array([0, 1, 2, 3, 0, 1, 2, 3, 0, 1])
FLOAT = one_hot([0, 1, 2, 3, 0, 1, 2, 3, 1, 2])  # the last two are wrong: 80%
INT8 = one_hot([0, 1, 2, 3, 0, 1, 3, 2, 0, 2])  # loses two, gains one: 70%


def test_figures_by_hand() -> None:
    accuracy = evaluate(INT8, FLOAT, LABELS)
    assert accuracy.metric == "top-1"
    assert accuracy.value == pytest.approx(70)
    assert accuracy.float_value == pytest.approx(80)
    assert accuracy.drop_points == pytest.approx(10)
    assert accuracy.agreement == pytest.approx(0.7)
    assert accuracy.samples == 10
    # cells 2.5 and 1.5 of 12: d = 1/12 = 0.083333, √(4 - 1/12) / 12 = 0.164921, margin 1.959964 · 0.164921 = 0.323240
    assert accuracy.drop_low == pytest.approx(-23.9907, abs=2e-4)
    assert accuracy.drop_high == pytest.approx(40.6573, abs=2e-4)


def test_interval_of_a_typical_evaluation() -> None:
    # 1,300 images, 14 lost, 9 gained: cells 14.5 and 9.5 of 1302
    centre, error = 5 / 1302, math.sqrt(24 - 25 / 1302) / 1302
    low, high = drop_interval(14, 9, 1300)
    assert low == pytest.approx(centre - 1.959964 * error, abs=1e-9)
    assert high == pytest.approx(centre + 1.959964 * error, abs=1e-9)


def test_identical_answers_leave_a_doubt_that_shrinks_with_more_samples() -> None:
    few, many = drop_interval(0, 0, 10), drop_interval(0, 0, 1000)
    assert few[0] == -few[1] and many[0] == -many[1]
    assert few[1] == pytest.approx(1.959964 / 12)  # the two half-samples: √1 / (n + 2)
    assert many[1] == pytest.approx(1.959964 / 1002)


def test_the_interval_is_antisymmetric() -> None:
    low, high = drop_interval(5, 2, 50)
    assert drop_interval(2, 5, 50) == pytest.approx((-high, -low))


@pytest.mark.parametrize("samples", [1, 2, 5, 100])
def test_the_interval_holds_the_drop_itself_and_stays_within_its_range(samples: int) -> None:
    for lost in range(samples + 1):
        for gained in range(samples - lost + 1):
            low, high = drop_interval(lost, gained, samples)
            assert -1 <= low <= (lost - gained) / samples <= high <= 1


def test_a_better_artifact_has_a_negative_drop() -> None:
    assert evaluate(one_hot(LABELS.tolist()), FLOAT, LABELS).drop_points == pytest.approx(-20)


def test_nan_is_a_wrong_answer_and_no_agreement() -> None:
    broken = np.full_like(INT8, math.nan)
    accuracy = evaluate(broken, broken, LABELS)
    assert (accuracy.value, accuracy.float_value, accuracy.agreement) == (0, 0, 0)


def test_lengths_must_match() -> None:
    with pytest.raises(DataError, match="10 samples, float outputs for 9 and 10 labels"):
        evaluate(INT8, FLOAT[:9], LABELS)


def test_no_sample_is_refused() -> None:
    with pytest.raises(DataError, match="at least one labelled sample"):
        evaluate(INT8[:0], FLOAT[:0], LABELS[:0])
