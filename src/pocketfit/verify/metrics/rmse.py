"""RMSE: how far numbers are off, large errors counting for more."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pocketfit.types import MetricInfo
from pocketfit.verify.metrics.metric import Metric, Scorer
from pocketfit.verify.metrics.shapes import check_like_output, differences
from pocketfit.verify.metrics.shares import average

__all__ = ["RMSE"]


def _scorer(outputs: Sequence[np.ndarray], targets: np.ndarray) -> Scorer:
    return average((differences(outputs[0], targets) ** 2).mean(axis=1), finish=math.sqrt)


RMSE = Metric(MetricInfo("rmse", "", higher_is_better=False), check_like_output, _scorer, "rmse")
"""Root of the mean squared error of the first output, in the targets' own unit; smaller is better.

Source: Willmott and Matsuura 2005, as of `mae.py`.
"""
