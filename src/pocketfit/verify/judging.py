"""An artifact and the float model by one metric on the same samples."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pocketfit.errors import DataError, VerificationFailed
from pocketfit.types import Accuracy
from pocketfit.verify.accuracy import evaluate
from pocketfit.verify.answers import NO_ANSWER, answers
from pocketfit.verify.bootstrap import paired_interval
from pocketfit.verify.metrics import TOP_1, Metric

__all__ = ["float_score", "judge", "lost"]


def judge(metric: Metric, outputs: Sequence[np.ndarray], floats: Sequence[np.ndarray], targets: np.ndarray) -> Accuracy:
    """Score both, and say how sure the difference is: top-1 by counting, all others by drawing samples again.

    Args:
        metric: what is asked.
        outputs: of the artifact, one array per output of the model, samples first.
        floats: of the float model.
        targets: as the metric's check gave them.

    Raises:
        DataError: there is no figure for the float model, or a function of the user's own fails.
        VerificationFailed: there is none for the artifact.
    """
    if metric is TOP_1:
        return evaluate(outputs[0], floats[0], targets)
    own, float_own = metric.scorer(outputs, targets), metric.scorer(floats, targets)
    once = np.ones(len(targets))
    value, float_value = own.of(once), _of_floats(metric, float_own.of(once))
    if not math.isfinite(value):
        raise VerificationFailed(f"its {metric.name} is {value}, where the float model's is {float_value:g}")
    low, high = paired_interval(float_own, own, len(targets))
    if not metric.info.higher_is_better:
        low, high = -high, -low
    return Accuracy(
        metric=metric.name,
        value=value,
        float_value=float_value,
        drop_points=metric.info.worse(float_value, value),
        drop_low=low,
        drop_high=high,
        agreement=_agreement(outputs[0], floats[0]) if metric.info.answers else None,
        samples=len(targets),
        unit=metric.info.unit,
    )


def lost(metric: Metric, outputs: Sequence[np.ndarray], floats: Sequence[np.ndarray], targets: np.ndarray) -> float:
    """How much worse the outputs are than the float model's, in the metric's unit; infinitely so without a figure.

    Args:
        metric: what is asked.
        outputs: one array per output of the model, samples first.
        floats: of the float model.
        targets: as the metric's check gave them.

    Raises:
        DataError: there is no figure for the float model, or a function of the user's own fails.
    """
    if metric is TOP_1:
        return evaluate(outputs[0], floats[0], targets).drop_points
    value = metric.score(outputs, targets)
    return metric.info.worse(float_score(metric, floats, targets), value) if math.isfinite(value) else math.inf


def float_score(metric: Metric, floats: Sequence[np.ndarray], targets: np.ndarray) -> float:
    """The float model's figure.

    Args:
        metric: what is asked.
        floats: one array per output of the model, samples first.
        targets: as the metric's check gave them.

    Raises:
        DataError: there is none, so that nothing could be compared with it, or a function of the user's own fails.
    """
    return _of_floats(metric, metric.score(floats, targets))


def _of_floats(metric: Metric, value: float) -> float:
    if not math.isfinite(value):
        raise DataError(
            f"The {metric.name} of the float model on the held-out samples is {value}. Give data on which there is one."
        )
    return value


def _agreement(outputs: np.ndarray, floats: np.ndarray) -> float:
    given, float_given = answers(outputs), answers(floats)
    return float(((given == float_given) & (given != NO_ANSWER)).mean())
