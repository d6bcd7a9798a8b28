"""mAP: how well boxes are found, over all scores that could be asked of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pocketfit.errors import DataError, OptionError
from pocketfit.types import MetricInfo, TensorSpec
from pocketfit.verify.metrics.metric import Metric, Scorer

__all__ = ["mean_average_precision"]

OVERLAPS = tuple(0.5 + 0.05 * step for step in range(10))
RECALLS = np.linspace(0.0, 1.0, 101)
MOST_BOXES = 100
_BOX, _SCORE, _CLASS = slice(0, 4), 4, 5


def mean_average_precision(overlap: float | None) -> Metric:
    """Average precision at 101 recalls, averaged over overlaps and over the classes that occur, in per cent.

    The first output holds boxes already decoded, N×M×6: left, top, right, bottom, score, class; those of a class below
    0 or a score of 0 or less are padding. Targets are N×K×5: left, top, right, bottom, class, padded with class -1. The
    100 best boxes of an image count.

    Source: Lin et al. 2014, "Microsoft COCO: Common Objects in Context", and its published evaluation rules: a box
    takes the free target of its class that it overlaps most, the best-scored boxes first; precision is made to fall
    only.

    Args:
        overlap: intersection over union that a hit takes, above 0 and up to 1; None for the mean over 0.5 to 0.95 in
            steps of 0.05.

    Raises:
        OptionError: an overlap that is none.
    """
    if overlap is not None and not 0 < overlap <= 1:
        raise OptionError(f"map@{overlap:g} is no overlap. Give one above 0 and up to 1, such as map@0.5, or map.")
    name, overlaps = ("map", OVERLAPS) if overlap is None else (f"map@{overlap:g}", (overlap,))

    def scorer(outputs: Sequence[np.ndarray], targets: np.ndarray) -> Scorer:
        known = sorted({int(one) for one in np.unique(targets[..., -1]) if one >= 0})
        classes = [_gathered(outputs[0], targets, one, np.array(overlaps)) for one in known]
        work = sum(found.hits.size for found in classes) + targets.size
        return Scorer(lambda weights: _mean(classes, weights), work)

    return Metric(MetricInfo(name, "%"), _check, scorer, name)


@dataclass(frozen=True)
class _Found:
    """The boxes of one class in all images, the best-scored first.

    Args:
        images: where each box is, B.
        hits: whether it is a hit, B×overlaps.
        wanted: number of targets in each image, N.
    """

    images: np.ndarray
    hits: np.ndarray
    wanted: np.ndarray

    def precision(self, weights: np.ndarray) -> np.ndarray | None:
        """Average precision at each overlap; None where no image that counts holds the class."""
        total = float(weights @ self.wanted)
        if total == 0:
            return None
        counts = weights[self.images]
        hits = np.cumsum(self.hits * counts[:, None], axis=0)
        precisions = hits / np.maximum(np.cumsum(counts), 1)[:, None]
        falling = np.maximum.accumulate(precisions[::-1], axis=0)[::-1]
        return np.array([_at_recalls(*curve) for curve in zip(hits.T / total, falling.T, strict=True)])


def _at_recalls(recalls: np.ndarray, precisions: np.ndarray) -> float:
    """Mean precision where each recall is first reached; 0 where it never is."""
    places = np.searchsorted(recalls, RECALLS, side="left")
    return float(np.append(precisions, 0.0)[places].mean())


def _mean(classes: Sequence[_Found], weights: np.ndarray) -> float:
    precisions = [found for one in classes if (found := one.precision(weights)) is not None]
    return float(100 * np.mean(precisions)) if precisions else np.nan


def _gathered(outputs: np.ndarray, targets: np.ndarray, class_: int, overlaps: np.ndarray) -> _Found:
    images, scores, hits, wanted = [], [], [], []
    for image, (boxes, truths) in enumerate(zip(map(_best, outputs), targets, strict=True)):
        own, truth = boxes[boxes[:, _CLASS].round() == class_], truths[truths[:, -1] == class_]
        wanted.append(len(truth))
        images.append(np.full(len(own), image))
        scores.append(own[:, _SCORE])
        hits.append(_hits(_overlaps(own[:, _BOX], truth[:, _BOX]), overlaps))
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return _Found(np.concatenate(images)[order], np.concatenate(hits)[order], np.array(wanted))


def _best(boxes: np.ndarray) -> np.ndarray:
    """The boxes of an image that are none of padding, the best-scored first."""
    real = boxes[(boxes[:, _SCORE] > 0) & (boxes[:, _CLASS] > -0.5)]
    best: np.ndarray = real[np.argsort(-real[:, _SCORE], kind="stable")][:MOST_BOXES]
    return best


def _hits(alike: np.ndarray, overlaps: np.ndarray) -> np.ndarray:
    """Whether each box is a hit at each overlap, boxes×overlaps."""
    hits = np.zeros((len(alike), len(overlaps)), dtype=bool)
    for column, least in enumerate(overlaps):
        for box in _matched(alike, least):
            hits[box, column] = True
    return hits


def _matched(alike: np.ndarray, least: float) -> Iterator[int]:
    """Boxes that find a target which none before them took."""
    free = alike.copy()
    for box in range(len(free) if free.shape[1] else 0):
        target = int(free[box].argmax())
        if free[box, target] >= least:
            free[:, target] = -1.0
            yield box


def _overlaps(boxes: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """Intersection over union of every box with every target."""
    first, second = boxes[:, None].astype(np.float64), truths[None].astype(np.float64)
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    intersection = sides.clip(min=0).prod(axis=-1)
    areas = [(one[..., 2:] - one[..., :2]).clip(min=0).prod(axis=-1) for one in (first, second)]
    shared: np.ndarray = intersection / np.maximum(areas[0] + areas[1] - intersection, np.finfo(np.float64).tiny)
    return shared


def _check(targets: np.ndarray, spec: str, outputs: Sequence[TensorSpec]) -> np.ndarray:
    shape = outputs[0].shape
    if len(shape) != 3 or shape[-1] != 6:
        raise DataError(
            "map takes a first output of N x boxes x 6: left, top, right, bottom, score, class, already decoded; the "
            f"model's is {'x'.join(map(str, shape))}. Decode inside the model, or give a function of your own."
        )
    if targets.ndim != 3 or targets.shape[-1] != 5 or targets.dtype.kind not in "fiu":
        raise DataError(
            f"The targets of {spec} are {targets.dtype} of shape {targets.shape}; map needs N x boxes x 5: left, top, "
            "right, bottom, class, and class -1 where an image has fewer boxes."
        )
    if not (targets[..., -1] >= 0).any():
        raise DataError(f"The targets of {spec} hold no box of a class from 0 on. Give at least one.")
    return targets.astype(np.float64)
