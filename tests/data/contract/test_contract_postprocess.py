from __future__ import annotations

import numpy as np
import pytest

from pocketfit.data.contract import (
    Activation,
    Boxes,
    BoxFormat,
    Classes,
    Contract,
    Crop,
    Embedding,
    Letterbox,
    placement,
    postprocess,
)
from pocketfit.data.contract.nms import overlap
from pocketfit.errors import DataError


def row(*values):
    return np.array([values], dtype=np.float32)


def test_the_best_classes_come_first_with_names_and_probabilities():
    contract = Contract(output=Classes(top_k=2, labels=("cat", "dog")))
    best, second = postprocess([row(0.0, np.log(2.0), np.log(5.0))], contract)
    assert (best.index, best.label, second.index, second.label) == (2, "", 1, "dog")
    # The logarithms are rounded to float32.
    np.testing.assert_allclose([best.score, second.score], [5 / 8, 2 / 8], rtol=1e-6)


def test_without_softmax_scores_are_told_as_they_are():
    found = postprocess([row(3.0, -1.0)], Contract(output=Classes(softmax=False)))
    assert [(answer.index, answer.score) for answer in found] == [(0, 3.0), (1, -1.0)]


def test_equal_scores_keep_their_order_even_where_probabilities_saturate():
    found = postprocess([row(1.0, 900.0, 1.0, 800.0)], Contract(output=Classes()))
    assert [answer.index for answer in found] == [1, 3, 0, 2]
    assert [answer.score for answer in found] == [1.0, pytest.approx(0.0, abs=1e-40), 0.0, 0.0]


def test_an_embedding_has_length_one():
    contract = Contract(output=Embedding())
    assert postprocess([row(3.0, -4.0)], contract).tolist() == [np.float32(0.6), np.float32(-0.8)]
    assert postprocess([row(0.0, 0.0)], contract).tolist() == [0.0, 0.0]
    assert postprocess([row(3.0, -4.0)], Contract(output=Embedding(normalise=False))).tolist() == [3.0, -4.0]


def test_without_a_word_on_outputs_the_first_is_handed_over():
    assert postprocess([row(1.0, 2.0), row(3.0)], Contract()).tolist() == [1.0, 2.0]


def detect(boxes, scores, output, **more):
    outputs = [np.array([boxes], dtype=np.float32), np.array([scores], dtype=np.float32)]
    return postprocess(outputs, Contract(output=output), **more)


PIXELS = {"normalised": False, "score_threshold": 0.5}
APART, NEAR = [0, 0, 10, 10], [1, 0, 11, 10]


def test_overlap_by_hand():
    assert overlap(np.array(APART), np.array(NEAR)) == 90 / 110
    assert overlap(np.array(APART), np.array([10, 0, 20, 10])) == 0.0
    assert overlap(np.array([5, 5, 5, 5]), np.array([5, 5, 5, 5])) == 0.0
    assert overlap(np.array([9, 9, 1, 1]), np.array(APART)) == 0.0


def test_of_overlapping_boxes_the_best_stays():
    found = detect([APART, NEAR, [50, 50, 60, 60]], [[0.6], [0.9], [0.7]], Boxes(iou_threshold=0.5, **PIXELS))
    assert [answer.box for answer in found] == [(1, 0, 11, 10), (50, 50, 60, 60)]


def test_a_box_stays_that_overlaps_exactly_as_much_as_allowed():
    boxes, scores = [[0, 0, 10, 10], [0, 0, 10, 5]], [[0.9], [0.8]]
    assert len(detect(boxes, scores, Boxes(iou_threshold=0.5, **PIXELS))) == 2
    assert len(detect(boxes, scores, Boxes(iou_threshold=0.49, **PIXELS))) == 1


def test_classes_compete_only_where_that_is_asked_for():
    boxes, scores = [APART, NEAR], [[0.6, 0.1], [0.1, 0.9]]
    assert [answer.index for answer in detect(boxes, scores, Boxes(**PIXELS))] == [1, 0]
    assert [answer.index for answer in detect(boxes, scores, Boxes(class_wise=False, **PIXELS))] == [1]


def test_a_removed_box_removes_none():
    boxes = [[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]]
    found = detect(boxes, [[0.9], [0.8], [0.7]], Boxes(iou_threshold=0.4, **PIXELS))
    assert [answer.box[0] for answer in found] == [0, 8]


def test_no_more_boxes_than_asked_for_and_none_below_the_threshold():
    boxes = [[20 * i, 0, 20 * i + 10, 10] for i in range(5)]
    scores = [[0.5], [0.499], [0.8], [0.7], [0.6]]
    assert [answer.box[0] for answer in detect(boxes, scores, Boxes(**PIXELS))] == [40, 60, 80, 0]
    assert [answer.box[0] for answer in detect(boxes, scores, Boxes(max_boxes=2, **PIXELS))] == [40, 60]


def test_equal_scores_keep_the_order_of_the_boxes():
    found = detect([NEAR, APART], [[0.75], [0.75]], Boxes(**PIXELS))
    assert [answer.box for answer in found] == [tuple(map(float, NEAR))]


def test_centre_and_size_become_corners():
    found = detect([[5, 6, 4, 2]], [[0.9]], Boxes(BoxFormat.CXCYWH, **PIXELS))
    assert found[0].box == (3.0, 5.0, 7.0, 7.0)


@pytest.mark.parametrize(
    ("activation", "score"),
    [(Activation.NONE, 2.0), (Activation.SIGMOID, 1 / (1 + np.exp(-2.0))), (Activation.SOFTMAX, 0.5)],
)
def test_scores_are_activated(activation, score):
    found = detect([APART], [[2.0, 2.0]], Boxes(normalised=False, activation=activation, labels=("cat",)))
    # Doubles all the way; `exp` may differ in the last bits.
    assert (found[0].label, found[0].score) == ("cat", pytest.approx(score, rel=1e-12))


@pytest.mark.filterwarnings("error")
def test_a_very_small_score_is_zero_without_a_warning():
    output = Boxes(normalised=False, activation=Activation.SIGMOID, score_threshold=0.0)
    assert detect([APART], [[-1000.0]], output)[0].score == 0.0


def test_a_letterbox_is_undone():
    where = placement((100, 200), Contract(resize=Letterbox((64, 64))))
    assert (where.resized, where.offset) == ((32, 64), (16, 0))
    # The whole width, and half of the letterbox's height: exactly the image.
    found = detect([[0, 0.25, 1, 0.75], [0, 0, 0.5, 1]], [[0.9], [0.8]], Boxes(iou_threshold=1.0), where=where)
    assert [answer.box for answer in found] == [(0.0, 0.0, 200.0, 100.0), (0.0, 0.0, 100.0, 100.0)]


def test_a_crop_is_undone():
    where = placement((30, 40), Contract(crop=Crop((10, 20))))
    found = detect([[0, 0, 20, 10]], [[0.9]], Boxes(**PIXELS), where=where)
    assert found[0].box == (10.0, 10.0, 30.0, 20.0)


@pytest.mark.parametrize(
    ("outputs", "output", "message"),
    [
        ([], Classes(), "first output is missing"),
        ([np.zeros((2, 3))], Classes(), r"first output is \(2, 3\)"),
        ([np.array([[np.nan, 1.0]])], Classes(), "not finite"),
        ([np.zeros((1, 0))], Embedding(), "empty"),
        ([np.zeros((1, 5, 4))], Boxes(normalised=False), "a detector's are boxes 1xNx4"),
        ([np.zeros((1, 5, 4)), np.zeros((1, 6, 2))], Boxes(normalised=False), "1xNxclasses"),
        ([np.zeros((1, 5, 4)), np.zeros((1, 5, 2))], Boxes(), "normalised, and there is no placement"),
    ],
)
def test_other_outputs_are_refused(outputs, output, message):
    with pytest.raises(DataError, match=message):
        postprocess(outputs, Contract(output=output))


def test_a_detector_may_find_nothing():
    assert postprocess([np.zeros((1, 0, 4)), np.zeros((1, 0, 3))], Contract(output=Boxes(normalised=False))) == ()
