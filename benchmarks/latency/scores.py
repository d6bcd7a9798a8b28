"""Figures of predictions that were made without what they are compared with."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

__all__ = ["Predicted", "score"]

NINETY = 0.9
# Standard deviations from the middle to the 95 % point of a normal distribution.
POINT = 1.645


@dataclass(frozen=True)
class Predicted:
    """One latency that was left out.

    Args:
        fold: what was left out with it; its interval is scaled by the errors of all other folds.
        error: logarithm of predicted over measured.
        deviation: standard deviation of that as the predictor states it.
    """

    fold: Hashable
    error: float
    deviation: float


def score(predictions: list[Predicted], *, intervals: bool = True) -> dict[str, float | int | None]:
    """Mean and median absolute percentage error, the share within ±10 %, and the coverage of 90 % intervals.

    `spread` is the standard deviation, in logarithms, with which nine tenths of the intervals would cover.
    """
    wrong = np.abs(np.expm1([one.error for one in predictions]))
    return {
        "mape": round(100 * float(wrong.mean()), 1),
        "median_ape": round(100 * float(np.median(wrong)), 1),
        "within_10": round(100 * float((wrong <= 0.1).mean()), 1),
        "coverage_90": round(100 * _coverage(predictions), 1) if intervals else None,
        "spread": round(float(np.quantile(np.abs([one.error for one in predictions]), NINETY)) / POINT, 3),
        "predictions": len(predictions),
    }


def _coverage(predictions: list[Predicted]) -> float:
    """How often the interval covers, where its width is scaled by the errors of the other folds.

    Source: Barber et al., "Predictive Inference with the Jackknife+", 2021, section 3, with stated deviations as scale.
    """
    folds = np.array([hash(one.fold) for one in predictions])
    scaled = np.abs([one.error / one.deviation for one in predictions])
    covered = [scaled[folds == fold] <= np.quantile(scaled[folds != fold], NINETY) for fold in np.unique(folds)]
    return float(np.concatenate(covered).mean())
