"""mIoU: how well the regions of each class are found, pixel by pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pocketfit.errors import DataError
from pocketfit.types import MetricInfo, TensorSpec
from pocketfit.verify.metrics.metric import Metric, Scorer

__all__ = ["MEAN_IOU"]

IGNORED = (255, -1)


def _scorer(outputs: Sequence[np.ndarray], targets: np.ndarray) -> Scorer:
    """Intersections and unions are summed over the samples, then divided, then averaged over the classes that occur."""
    counts = np.array([_counts(*pair) for pair in zip(outputs[0], targets, strict=True)], dtype=np.float64)
    intersections, unions = counts[:, 0], counts[:, 1]

    def of(weights: np.ndarray) -> float:
        intersection, union = weights @ intersections, weights @ unions
        seen = union > 0
        return float(100 * (intersection[seen] / union[seen]).mean()) if seen.any() else np.nan

    return Scorer(of, counts.size)


def _counts(scores: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intersection and union of each class in one sample, in pixels; what is to be ignored counts for neither."""
    classes = len(scores)
    known = (target >= 0) & (target < classes)
    given, wanted = scores.argmax(axis=0)[known], target[known]
    table = np.bincount(classes * wanted + given, minlength=classes**2).reshape(classes, classes)
    intersection = table.diagonal()
    return intersection, table.sum(axis=0) + table.sum(axis=1) - intersection


def _check(targets: np.ndarray, spec: str, outputs: Sequence[TensorSpec]) -> np.ndarray:
    shape = outputs[0].shape
    if len(shape) < 3 or not 2 <= shape[1] < IGNORED[0]:
        raise DataError(
            f"miou is for a first output of N x classes x height x width with 2 to 254 classes; the model's is "
            f"{'x'.join(map(str, shape))}. Give another --metric, or a function of your own."
        )
    if targets.shape[1:] != shape[2:] or not np.issubdtype(targets.dtype, np.integer):
        raise DataError(
            f"The targets of {spec} are {targets.dtype} of shape {targets.shape}; miou needs the class of each pixel, "
            f"whole numbers of {'x'.join(map(str, ('N', *shape[2:])))}."
        )
    classes = targets.astype(np.int64)
    wrong = np.setdiff1d(np.unique(classes), [*range(shape[1]), *IGNORED])
    if len(wrong):
        raise DataError(
            f"The targets of {spec} hold the class {wrong[0]}; allowed are 0 to {shape[1] - 1}, "
            f"and {' or '.join(map(str, IGNORED))} for pixels that do not count."
        )
    return classes


MEAN_IOU = Metric(MetricInfo("miou", "%"), _check, _scorer, "miou")
"""Mean intersection over union of the classes that occur, of a first output of N x classes x height x width.

Pixels whose target is 255 or -1 are left out.

Source: Everingham et al. 2015, "The Pascal Visual Object Classes Challenge: A Retrospective".
"""
