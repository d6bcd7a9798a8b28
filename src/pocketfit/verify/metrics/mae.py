"""MAE: how far numbers are off on average."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pocketfit.types import MetricInfo
from pocketfit.verify.metrics.metric import Metric, Scorer
from pocketfit.verify.metrics.shapes import check_like_output, differences
from pocketfit.verify.metrics.shares import average

__all__ = ["MAE"]


def _scorer(outputs: Sequence[np.ndarray], targets: np.ndarray) -> Scorer:
    return average(np.abs(differences(outputs[0], targets)).mean(axis=1))


MAE = Metric(MetricInfo("mae", "", higher_is_better=False), check_like_output, _scorer, "mae")
"""Mean absolute error of the first output, in the targets' own unit; smaller is better.

Source: Willmott and Matsuura 2005, "Advantages of the mean absolute error (MAE) over the root mean square error (RMSE)
in assessing average model performance".
"""
