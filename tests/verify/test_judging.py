"""Two models by one metric, and how sure the difference is."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from pocketfit.errors import DataError, VerificationFailed
from pocketfit.verify.accuracy import evaluate
from pocketfit.verify.bootstrap import FEWEST, MOST, resamples
from pocketfit.verify.judging import float_score, judge, lost
from pocketfit.verify.metrics import TOP_1, find_metric

RANDOM = np.random.default_rng(1)
TARGETS = RANDOM.random((200, 3)).astype(np.float32)
FLOATS = TARGETS + 0.01 * RANDOM.standard_normal((200, 3)).astype(np.float32)
WORSE = FLOATS + 0.01 * RANDOM.standard_normal((200, 3)).astype(np.float32)


def test_an_error_that_grows_is_a_drop() -> None:
    accuracy = judge(find_metric("mae"), [WORSE], [FLOATS], TARGETS)
    assert accuracy.value > accuracy.float_value
    assert accuracy.drop_points == pytest.approx(accuracy.value - accuracy.float_value)
    assert 0 < accuracy.drop_low < accuracy.drop_points < accuracy.drop_high
    assert (accuracy.metric, accuracy.unit, accuracy.agreement, accuracy.samples) == ("mae", "", None, 200)


def test_decibels_that_fall_are_a_drop() -> None:
    accuracy = judge(find_metric("psnr"), [WORSE], [FLOATS], TARGETS)
    assert accuracy.drop_points == pytest.approx(accuracy.float_value - accuracy.value)
    # Noise of the same strength on top doubles the squared error, up to chance: 3 dB.
    assert 2 < accuracy.drop_low < accuracy.drop_points < accuracy.drop_high < 4


def test_a_better_artifact_has_a_negative_drop() -> None:
    assert judge(find_metric("rmse"), [FLOATS], [WORSE], TARGETS).drop_points < 0
    assert lost(find_metric("psnr"), [FLOATS], [WORSE], TARGETS) < 0


def test_the_interval_is_the_same_every_time_and_nothing_for_equals() -> None:
    first, second = (judge(find_metric("mae"), [WORSE], [FLOATS], TARGETS) for _ in range(2))
    assert first == second
    same = judge(find_metric("mae"), [FLOATS], [FLOATS], TARGETS)
    assert (same.drop_low, same.drop_points, same.drop_high) == (0, 0, 0)


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution() -> None:
    accuracy = judge(find_metric("mae"), [WORSE], [FLOATS], TARGETS)
    gaps = np.abs(WORSE - TARGETS).mean(axis=1) - np.abs(FLOATS - TARGETS).mean(axis=1)
    error = 1.96 * float(gaps.std()) / math.sqrt(len(gaps))
    # A percentile of 1000 draws is itself off by some 5% of the half-width; three times that.
    assert accuracy.drop_low == pytest.approx(gaps.mean() - error, abs=0.15 * error)
    assert accuracy.drop_high == pytest.approx(gaps.mean() + error, abs=0.15 * error)


def test_top_1_counts_as_before() -> None:
    outputs, labels = np.eye(4)[[0, 1, 2, 3, 0]], np.array([0, 1, 2, 0, 1])
    floats = np.eye(4)[[0, 1, 2, 0, 1]]
    assert judge(TOP_1, [outputs], [floats], labels) == evaluate(outputs, floats, labels)
    assert lost(TOP_1, [outputs], [floats], labels) == pytest.approx(40)


def test_top_5_says_how_many_answers_are_the_same() -> None:
    outputs, labels = np.eye(8)[[0, 1, 2, 3]], np.array([0, 1, 2, 0])
    assert judge(find_metric("top-5"), [outputs], [np.eye(8)[[0, 1, 2, 0]]], labels).agreement == 0.75


def test_no_figure() -> None:
    broken = np.full_like(FLOATS, np.nan)
    with pytest.raises(DataError, match="mae of the float model on the held-out samples is nan"):
        float_score(find_metric("mae"), [broken], TARGETS)
    with pytest.raises(VerificationFailed, match="mae is nan"):
        judge(find_metric("mae"), [broken], [FLOATS], TARGETS)
    assert lost(find_metric("mae"), [broken], [FLOATS], TARGETS) == math.inf


def test_draws_that_a_function_cannot_score_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "picky_metric.py").write_text(
        "def picky(outputs, targets):\n"
        "    assert (targets == 1).any(), 'nothing of class 1'\n"
        "    return float((outputs[0] == targets).mean())\n"
    )
    picky = find_metric(f"{tmp_path / 'picky_metric.py'}:picky")
    targets = np.array([0] * 9 + [1])
    accuracy = judge(picky, [np.zeros(10)], [targets], targets)
    # Every draw that is left holds the one sample that the artifact gets wrong.
    assert accuracy.drop_low == pytest.approx(0.1)
    assert accuracy.drop_low <= accuracy.drop_high <= 1
    assert accuracy.drop_points == pytest.approx(0.1)


@pytest.mark.parametrize(("work", "times"), [(0, MOST), (1000, MOST), (200_000, 500), (10**9, FEWEST)])
def test_more_work_is_done_less_often(work: int, times: int) -> None:
    assert resamples(work) == times
