"""Boxes from a detector's outputs: decoded, and the best of those that overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pocketfit.contract.outputs import Boxes, BoxFormat

__all__ = ["Candidates", "candidates", "corners", "keep", "overlap"]


@dataclass(frozen=True)
class Candidates:
    """Boxes that are good enough, best first.

    Args:
        corners: float64 N×4, left, top, right, bottom.
        scores: float64 N.
        classes: int64 N.
    """

    corners: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


def corners(boxes: np.ndarray, size: tuple[int, int], output: Boxes) -> np.ndarray:
    """Left, top, right and bottom in pixels of the model's input, in doubles.

    Args:
        boxes: N×4 as the model gives them.
        size: height and width of the model's input.
        output: `format` and `normalised` are used.
    """
    values = boxes.astype(np.float64)
    if output.format is BoxFormat.CXCYWH:
        center, half = values[:, :2], values[:, 2:] / 2
        values = np.concatenate([center - half, center + half], axis=1)
    height, width = size
    return values * np.array([width, height, width, height]) if output.normalised else values


def candidates(boxes: np.ndarray, probabilities: np.ndarray, output: Boxes) -> Candidates:
    """Every box with its best class, where that is good enough; equal scores keep the order of the boxes.

    Args:
        boxes: N×4 from `corners`.
        probabilities: N×classes; the first of equal classes wins.
        output: `score_threshold` is used.
    """
    classes = probabilities.argmax(axis=1)
    scores = probabilities.max(axis=1)
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] >= output.score_threshold]
    return Candidates(boxes[order], scores[order], classes[order])


def keep(found: Candidates, output: Boxes) -> list[int]:
    """Indices of the boxes that stay: from the best on, each that overlaps no kept one too much.

    Args:
        found: best first.
        output: `iou_threshold`, `class_wise` and `max_boxes` are used.
    """
    kept: list[int] = []
    for index in range(len(found.scores)):
        rivals = [other for other in kept if not output.class_wise or found.classes[other] == found.classes[index]]
        if all(overlap(found.corners[index], found.corners[other]) <= output.iou_threshold for other in rivals):
            kept.append(index)
        if len(kept) == output.max_boxes:
            break
    return kept


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes, in doubles; 0 where the union has no area."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    union = _area(one) + _area(other) - shared
    return float(shared / union) if union > 0 else 0.0


def _area(box: np.ndarray) -> float:
    return float(max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0))
