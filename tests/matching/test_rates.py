"""Operating points: agree with the metric that a fit is judged by, and claim nothing that was not seen."""

from __future__ import annotations

import numpy as np
import pytest

from pocketfit.errors import DataError, OptionError
from pocketfit.matching import Scored, all_pairs, cosines, operating_points, probabilities
from pocketfit.verify.metrics import find_metric


@pytest.fixture
def persons() -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of 12 persons, 8 of each, that overlap a little."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(12), 8)
    return random.normal(size=(12, 16))[labels] + 0.8 * random.normal(size=(96, 16)), labels


def scored(persons: tuple[np.ndarray, np.ndarray]) -> Scored:
    embeddings, labels = persons
    members = all_pairs(len(labels))
    return cosines(embeddings, members, labels[members[:, 0]] == labels[members[:, 1]])


@pytest.mark.parametrize("far", [1e-1, 1e-2, 1e-3])
def test_it_is_the_metric_of_a_fit(persons: tuple[np.ndarray, np.ndarray], far: float) -> None:
    embeddings, labels = persons
    (point,) = operating_points(scored(persons), [far])
    metric = find_metric(f"tar@far={far:g}").scorer([embeddings.astype(np.float32)], labels)
    assert 100 * point.tar == pytest.approx(metric.of(np.ones(len(labels))), abs=1e-9)
    assert 0 <= point.far_low <= point.far <= min(point.far_high, far)
    assert point.tar_low <= point.tar <= point.tar_high


def test_a_rate_below_one_impostor_is_not_claimed(persons: tuple[np.ndarray, np.ndarray]) -> None:
    one = scored(persons)
    assert one.impostors == 66 * 64
    wanted = [1e-1, 1 / one.impostors, 1e-4]
    assert [point.wanted for point in operating_points(one, wanted)] == wanted[:2]


def test_none_accepted_is_not_none_ever() -> None:
    """Of 1,000 independent impostors none is accepted: the exact interval ends at 1 - 0.025 ** (1 / 1000)."""
    members = np.arange(2002).reshape(-1, 2)
    (point,) = operating_points(Scored(np.r_[1.0, np.zeros(1000)], np.arange(1001) == 0, members, 2002), [1e-3])
    assert (point.far, point.far_low) == (0, 0)
    assert point.far_high == pytest.approx(1 - 0.025 ** (1 / 1000))


def test_pairs_that_share_samples_widen_the_interval() -> None:
    """One sample that is like everybody makes all accepted pairs: drawing samples again must see that."""
    random = np.random.default_rng(2)
    members = all_pairs(60)
    labels = np.arange(60) // 2
    genuine = labels[members[:, 0]] == labels[members[:, 1]]
    scores = np.where(members[:, 0] == 0, 0.9, random.random(len(members)) * 0.5)
    shared = operating_points(Scored(scores, genuine, members, 60), [5e-2])[0]
    apart = np.arange(2 * len(members)).reshape(-1, 2)
    alone = operating_points(Scored(scores, genuine, apart, apart.size), [5e-2])[0]
    assert shared.far == alone.far
    assert shared.far_high > 1.5 * alone.far_high


def test_a_gate_is_scored_sample_by_sample() -> None:
    logits = np.array([[0.0, 3.0], [0.0, 1.0], [2.0, 0.0], [0.0, 2.0]])
    one = probabilities(logits, np.array([1, 1, 0, 0]), 1, softmax=True)
    assert one.scores[0] == pytest.approx(np.exp(3) / (1 + np.exp(3)))
    (point,) = operating_points(one, [0.5])
    assert (point.threshold, point.far, point.tar) == (one.scores[2], 0.5, 1.0)


@pytest.mark.parametrize("far", [0.0, 1.0, -1.0, float("nan")])
def test_what_is_no_rate_is_refused(persons: tuple[np.ndarray, np.ndarray], far: float) -> None:
    with pytest.raises(OptionError, match="no false-accept rate"):
        operating_points(scored(persons), [far])


def test_pairs_of_one_kind_are_refused(persons: tuple[np.ndarray, np.ndarray]) -> None:
    members = all_pairs(4)
    with pytest.raises(DataError, match="both kinds"):
        cosines(persons[0][:4], members, np.ones(len(members), bool))


def test_a_class_that_is_not_there_is_refused() -> None:
    with pytest.raises(DataError, match="Class 2"):
        probabilities(np.zeros((2, 2)), np.array([0, 1]), 2, softmax=True)
