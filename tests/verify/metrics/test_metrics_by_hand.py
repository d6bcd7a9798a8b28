"""Each metric on a case that fits on paper."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pocketfit.errors import DataError
from pocketfit.types import TensorSpec
from pocketfit.verify.metrics import find_metric


def score(name: str, outputs: object, targets: object) -> float:
    return find_metric(name).score([np.array(outputs, dtype=np.float32)], np.array(targets))


def scored_twice(name: str, outputs: object, targets: object, weights: list[int]) -> tuple[float, float]:
    """With weights, and with every sample written out as often as its weight says."""
    metric, values, wanted = find_metric(name), np.array(outputs, dtype=np.float32), np.array(targets)
    positions = np.repeat(np.arange(len(wanted)), weights)
    weighted = metric.scorer([values], wanted).of(np.array(weights, dtype=float))
    return weighted, metric.score([values[positions]], wanted[positions])


CLASSES = [[0.1, 0.5, 0.4], [0.6, 0.3, 0.1], [0.2, 0.3, 0.5], [0.4, 0.4, 0.2]]


def test_top_k() -> None:
    # Ranks of the classes 1, 2, 1, 1: first, third, second, second of two equals.
    assert score("top-1", CLASSES, [1, 2, 1, 1]) == 25
    assert score("top-2", CLASSES, [1, 2, 1, 1]) == 75
    assert score("top-5", CLASSES, [1, 2, 1, 1]) == 100


def test_top_k_of_nan_is_wrong() -> None:
    assert score("top-2", [[np.nan, 1.0, 0.0], [0.0, 1.0, 0.5]], [1, 1]) == 50


FACES = [[1, 0], [0.9, 0.1], [0, 1], [0.8, 0.2], [0.5, 0.9]]


def test_recall() -> None:
    # Nearest by cosine: 0→1, 1→0, 2→4, 3→1, 4→2; of identities 7 7 8 8 8: right, right, right, wrong, right.
    assert score("recall@1", FACES, [7, 7, 8, 8, 8]) == pytest.approx(80)
    # The third nearest of 3 is 4, after 1 and 0.
    assert score("recall@2", FACES, [7, 7, 8, 8, 8]) == pytest.approx(80)
    assert score("recall@3", FACES, [7, 7, 8, 8, 8]) == 100


def test_recall_asks_nothing_of_one_that_is_alone() -> None:
    assert score("recall@1", FACES, [7, 7, 8, 9, 8]) == 100


def test_tar_at_far() -> None:
    # On the unit circle by angle: 0° and 20° of one, 35° and 100° of another. Genuine: 20°, 65°.
    # Impostors: 35°, 100°, 15°, 80°, so a rate of a quarter lets in that of 15° and keeps out from 35° on.
    points = [[math.cos(math.radians(angle)), math.sin(math.radians(angle))] for angle in (0, 20, 35, 100)]
    assert score("tar@far=0.25", points, [0, 0, 1, 1]) == 50
    # Half of them: from 80° on they stay out, both genuine pairs are nearer.
    assert score("tar@far=0.5", points, [0, 0, 1, 1]) == 100


def test_a_rate_takes_enough_pairs() -> None:
    with pytest.raises(DataError, match=r"2 genuine and 4 impostor pairs; a rate of 0\.001 takes at least 1 and 1000"):
        score("tar@far=1e-3", np.eye(4), [0, 0, 1, 1])


def test_miou() -> None:
    # Two classes of a 2 x 2 image, the last pixel does not count: given 0 1 1, wanted 0 0 1.
    image = [[[1, 0], [0, 0]], [[0, 1], [1, 1]]]
    for ignored in (255, -1):
        # Class 0: 1 of 2 pixels; class 1: 1 of 2.
        assert score("miou", [image], [[[0, 0], [1, ignored]]]) == pytest.approx(50)
    # Given 0 1 1 1, wanted 0 0 1 1: 1 of 2, 2 of 3.
    assert score("miou", [image], [[[0, 0], [1, 1]]]) == pytest.approx(100 * (1 / 2 + 2 / 3) / 2)


def test_miou_sums_over_images_before_it_divides() -> None:
    right, wrong = [[[1, 1]], [[0, 0]]], [[[0, 0]], [[1, 1]]]  # all of class 0, all of class 1
    # Class 0: 2 of 3 pixels. Class 1: 1 of 2.
    assert score("miou", [right, wrong], [[[0, 0]], [[0, 1]]]) == pytest.approx(100 * (2 / 3 + 1 / 2) / 2)


def test_psnr() -> None:
    # Off by 0.1 everywhere: 10 log10(1 / 0.01); off by 0.01: 40 dB.
    assert score("psnr", np.full((2, 1, 2, 2), [[[[0.6]]], [[[0.51]]]]), np.full((2, 1, 2, 2), 0.5)) == pytest.approx(
        30, abs=1e-4
    )  # 0.1 and 0.01 are no float32: relative 1e-7, and ten times the logarithm of that
    assert score("psnr@255", np.full((1, 4), 25.5), np.zeros((1, 4))) == pytest.approx(20)
    assert score("psnr", np.ones((1, 4)), np.ones((1, 4))) == 100


def test_mae_and_rmse() -> None:
    outputs, targets = [[1.0, 2.0], [3.0, 8.0]], [[1.0, 4.0], [3.0, 4.0]]
    assert score("mae", outputs, targets) == pytest.approx((0 + 2 + 0 + 4) / 4)
    assert score("rmse", outputs, targets) == pytest.approx(math.sqrt((0 + 4 + 0 + 16) / 4))


def test_token_accuracy() -> None:
    tokens = np.eye(4)[[[0, 1, 2], [3, 3, 3]]]
    assert score("token-accuracy", tokens, [[0, 1, 1], [3, -100, -1]]) == pytest.approx(100 * 3 / 4)


# Boxes of left, top, right, bottom; two targets of one class in one image.
WANTED = [[[0, 0, 10, 10, 0], [20, 0, 30, 10, 0], [0, 0, 0, 0, -1]]]


def box(left: float, score_: float, class_: int = 0, width: float = 10) -> list[float]:
    return [left, 0, left + width, 10, score_, class_]


def test_map_of_hit_miss_hit() -> None:
    # Precisions 1, 1/2, 2/3 at recalls 1/2, 1/2, 1: 51 of 101 recalls at 1, the other 50 at 2/3.
    boxes = [[box(0, 0.9), box(50, 0.8), box(20, 0.7)]]
    assert score("map@0.5", boxes, WANTED) == pytest.approx(100 * (51 + 50 * 2 / 3) / 101)


def test_map_takes_a_target_once() -> None:
    # The second box finds its target taken: recall stays at a half, and the other half has no precision.
    assert score("map@0.5", [[box(0, 0.9), box(0, 0.8)]], WANTED) == pytest.approx(100 * 51 / 101)


def test_map_over_overlaps() -> None:
    # 8.2 of 10 columns: enough at 0.5 to 0.8, which are 7 of the ten.
    assert score("map", [[box(0, 0.9, width=8.2)]], [[[0, 0, 10, 10, 0]]]) == pytest.approx(70)


def test_map_is_a_mean_over_classes_that_occur_and_padding_is_nothing() -> None:
    wanted = [[[0, 0, 10, 10, 0], [20, 0, 30, 10, 3]]]
    boxes = [[box(0, 0.9), box(20, 0.9, class_=1), box(20, 0.0, class_=3), box(20, 0.5, class_=-1)]]
    assert score("map@0.5", boxes, wanted) == pytest.approx(50)


SHAPED = [
    ("top-5", (6, 9), lambda random: random.integers(0, 9, 6)),
    ("miou", (6, 3, 4, 4), lambda random: random.integers(0, 3, (6, 4, 4))),
    ("psnr", (6, 2, 3), lambda random: random.random((6, 2, 3))),
    ("mae", (6, 2), lambda random: random.random((6, 2))),
    ("rmse", (6, 2), lambda random: random.random((6, 2))),
    ("token-accuracy", (6, 5, 4), lambda random: random.integers(-1, 4, (6, 5))),
]


@pytest.mark.parametrize(("name", "shape", "draw"), SHAPED, ids=[name for name, _, _ in SHAPED])
def test_a_weight_is_a_sample_written_out_as_often(name, shape, draw) -> None:
    random = np.random.default_rng(3)
    weighted, written = scored_twice(name, random.random(shape), draw(random), [2, 0, 1, 3, 0, 1])
    assert weighted == pytest.approx(written)


def test_a_weight_of_an_image_with_boxes() -> None:
    boxes = [[box(0, 0.9), box(50, 0.8)], [box(20, 0.7), box(0, 0.6)]]
    weighted, written = scored_twice("map@0.5", boxes, WANTED * 2, [2, 2])
    # Copies of a box have the same score; in which order they count moves a precision, not what is reached.
    assert weighted == pytest.approx(written, abs=5)
    assert scored_twice("map@0.5", boxes, WANTED * 2, [1, 0])[0] == pytest.approx(100 * 51 / 101)


def test_drawing_faces_again_weighs_their_pairs() -> None:
    points = [[math.cos(math.radians(angle)), math.sin(math.radians(angle))] for angle in (0, 20, 35, 100)]
    scorer = find_metric("tar@far=0.25").scorer([np.array(points)], np.array([0, 0, 1, 1]))
    # Without the sample at 20°, one genuine pair of 65° is left, and impostors at 35° and 100°: none is let in.
    assert scorer.of(np.array([1.0, 0.0, 1.0, 1.0])) == 0
    # A sample twice makes no pair with itself; without any genuine pair there is no figure.
    assert math.isnan(scorer.of(np.array([2.0, 0.0, 2.0, 0.0])))


REFUSED = [
    ("miou", (1, 3, 4, 4), np.zeros((5, 4, 5), int), "whole numbers of Nx4x4"),
    ("miou", (1, 3, 4, 4), np.full((5, 4, 4), 3), "hold the class 3; allowed are 0 to 2, and 255 or -1"),
    ("miou", (1, 10), np.zeros(5, int), "the model's is 1x10"),
    ("psnr", (1, 3, 4, 4), np.full((5, 3, 4, 4), 200, np.uint8), "--metric psnr@255"),
    ("psnr", (1, 3, 4, 4), np.zeros((5, 3, 2, 2)), "first output, Nx3x4x4"),
    ("mae", (1, 1), np.array([1.0, np.nan]), "NaN or infinity in 1 samples"),
    ("mae", (1, 1), np.array(["a", "b"]), "<U1 of shape"),
    ("map", (1, 8, 7), np.zeros((5, 2, 5)), "already decoded; the model's is 1x8x7"),
    ("map", (1, 8, 6), np.zeros((5, 2, 4)), "left, top, right, bottom, class"),
    ("map", (1, 8, 6), np.full((5, 2, 5), -1.0), "no box of a class"),
    ("token-accuracy", (1, 7, 4), np.zeros((5, 6), int), "N x positions x tokens"),
    ("token-accuracy", (1, 7, 4), np.full((5, 7), 4), "go up to 4; allowed are 0 to 3"),
    ("recall@1", (1, 8), np.arange(5), "of another identity"),
    ("top-5", (1, 8), np.arange(9), "0 to 7, as the model has 8 outputs"),
]


@pytest.mark.parametrize(("name", "shape", "targets", "message"), REFUSED)
def test_targets_that_a_metric_cannot_use(name: str, shape: tuple[int, ...], targets: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_metric(name).check(targets, "data.npz", (TensorSpec("y", shape),))


def test_a_missing_axis_of_size_1_is_no_other_shape() -> None:
    checked = find_metric("mae").check(np.array([1, 2, 3]), "data.npz", (TensorSpec("y", (1, 1)),))
    assert checked.dtype == np.float32
    assert find_metric("mae").score([np.array([[1.0], [2.0], [6.0]])], checked) == 1
