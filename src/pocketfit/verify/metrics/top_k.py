"""Top-k: the share of samples whose class is among the k largest outputs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from pocketfit.data.checks import check_labels
from pocketfit.errors import OptionError
from pocketfit.types import MetricInfo, TensorSpec
from pocketfit.verify.metrics.metric import Metric, Scorer
from pocketfit.verify.metrics.shares import share

__all__ = ["TOP_1", "top_k"]


@cache
def top_k(k: int) -> Metric:
    """Of the first output, N×C or any N×… that is taken as one long row; a row with a NaN answers nothing.

    Source: Russakovsky et al. 2015, "ImageNet Large Scale Visual Recognition Challenge", whose error is the
    rest of this share.

    Args:
        k: how many answers are allowed, at least 1. Of equal outputs the first ones count.

    Raises:
        OptionError: k is below 1.
    """
    if k < 1:
        raise OptionError(f"top-{k} allows no answer. Give top-1, top-5 or another number above 0.")
    name = f"top-{k}"

    def scorer(outputs: Sequence[np.ndarray], targets: np.ndarray) -> Scorer:
        return share(_ranks(outputs[0].reshape(len(targets), -1), targets) < k)

    return Metric(MetricInfo(name, "%", answers=True), _check, scorer, name)


def _check(targets: np.ndarray, spec: str, outputs: Sequence[TensorSpec]) -> np.ndarray:
    shape = outputs[0].shape
    return check_labels(targets, spec, shape[-1] if len(shape) == 2 else None)


def _ranks(rows: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """How many outputs come before that of the class; all of them where it has none, or where there is a NaN."""
    positions = np.arange(rows.shape[1])
    known = targets < rows.shape[1]
    own = rows[np.arange(len(rows)), np.where(known, targets, 0)][:, None]
    before = (rows > own) | ((rows == own) & (positions < targets[:, None]))
    ranks: np.ndarray = np.where(known & ~np.isnan(rows).any(axis=1), before.sum(axis=1), rows.shape[1])
    return ranks


TOP_1 = top_k(1)
