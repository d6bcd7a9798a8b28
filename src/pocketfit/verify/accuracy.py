"""Top-1 on held-out samples, paired with the float model on the same ones."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

from pocketfit.errors import DataError
from pocketfit.types import Accuracy
from pocketfit.verify.answers import NO_ANSWER, answers

if TYPE_CHECKING:
    import numpy as np

__all__ = ["drop_interval", "evaluate"]

_Z = NormalDist().inv_cdf(0.975)


def evaluate(outputs: np.ndarray, float_outputs: np.ndarray, labels: np.ndarray) -> Accuracy:
    """Score an artifact and the float model on the same samples.

    Args:
        outputs: N×C of the artifact; a sample with a NaN counts as wrong.
        float_outputs: N×C of the float model.
        labels: N class indices.

    Raises:
        DataError: there is no sample, or the three have different lengths.
    """
    _check_lengths(len(outputs), len(float_outputs), len(labels))
    given, float_given = answers(outputs), answers(float_outputs)
    right, float_right = given == labels, float_given == labels
    lost = int((float_right & ~right).sum())
    gained = int((right & ~float_right).sum())
    low, high = drop_interval(lost, gained, len(labels))
    return Accuracy(
        metric="top-1",
        value=100 * float(right.mean()),
        float_value=100 * float(float_right.mean()),
        drop_points=100 * (lost - gained) / len(labels),
        drop_low=100 * low,
        drop_high=100 * high,
        agreement=float(((given == float_given) & (given != NO_ANSWER)).mean()),
        samples=len(labels),
    )


def drop_interval(lost: int, gained: int, samples: int) -> tuple[float, float]:
    """95% confidence interval of a drop in accuracy between two models on the same samples.

    The Wald interval for a difference of paired proportions after adding ½ to each of the four cells of the 2×2 table:
    with few samples, or with none lost and none gained, it stays honest where the plain one shrinks to nothing.

    Args:
        lost: samples that the float model alone answers right.
        gained: samples that the artifact alone answers right.
        samples: all samples, at least 1.

    Returns:
        Lower and upper end as shares, -1..1.

    Source:
        Agresti and Min, "Simple improved confidence intervals for comparing matched proportions",
        Statistics in Medicine 24 (2005), 729-740: d = (b - c) / n, var = ((b + c) - (b - c)² / n) / n².
    """
    b, c, n = lost + 0.5, gained + 0.5, samples + 2.0
    drop = (b - c) / n
    margin = _Z * math.sqrt((b + c) - (b - c) ** 2 / n) / n
    return max(drop - margin, -1.0), min(drop + margin, 1.0)


def _check_lengths(outputs: int, float_outputs: int, labels: int) -> None:
    if not outputs == float_outputs == labels:
        raise DataError(
            f"got outputs for {outputs} samples, float outputs for {float_outputs} and {labels} labels; "
            "all three must belong to the same samples"
        )
    if labels == 0:
        raise DataError("no held-out sample to score on; give at least one labelled sample")
