"""Figures that are one number a sample, averaged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pocketfit.verify.metrics.metric import Scorer

__all__ = ["average", "share"]


def share(right: np.ndarray) -> Scorer:
    """The percentage of samples that are right.

    Args:
        right: N booleans.
    """
    return average(100.0 * right)


def average(values: np.ndarray, finish: Callable[[float], float] = float) -> Scorer:
    """The mean over the samples.

    Args:
        values: one number a sample, N.
        finish: what becomes of the mean.
    """
    values = values.astype(np.float64)
    return Scorer(lambda weights: finish(float(values @ weights / weights.sum())), values.size)
