"""Token accuracy: the share of positions in sequences that are answered right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pocketfit.errors import DataError
from pocketfit.types import MetricInfo, TensorSpec
from pocketfit.verify.metrics.metric import Metric, Scorer

__all__ = ["TOKEN_ACCURACY"]


def _scorer(outputs: Sequence[np.ndarray], targets: np.ndarray) -> Scorer:
    """Every position counts the same, so a long sequence counts for more than a short one."""
    known = targets >= 0
    right = ((outputs[0].argmax(axis=-1) == targets) & known).reshape(len(targets), -1).sum(axis=1)
    asked = known.reshape(len(targets), -1).sum(axis=1)

    def of(weights: np.ndarray) -> float:
        total = weights @ asked
        return float(100 * (weights @ right) / total) if total else np.nan

    return Scorer(of, 2 * len(targets))


def _check(targets: np.ndarray, spec: str, outputs: Sequence[TensorSpec]) -> np.ndarray:
    shape = outputs[0].shape
    fitting = len(shape) > 2 and targets.shape[1:] == shape[1:-1] and np.issubdtype(targets.dtype, np.integer)
    if not fitting:
        raise DataError(
            f"The targets of {spec} are {targets.dtype} of shape {targets.shape}, and the model's first output is "
            f"{'x'.join(map(str, shape))}. token-accuracy needs an output of N x positions x tokens, and the right "
            "token of each position, whole numbers of N x positions."
        )
    tokens = targets.astype(np.int64)
    if tokens.max() >= shape[-1] or tokens.max() < 0:
        raise DataError(
            f"The targets of {spec} go up to {tokens.max()}; allowed are 0 to {shape[-1] - 1}, and numbers below 0 for "
            "positions that do not count."
        )
    return tokens


TOKEN_ACCURACY = Metric(MetricInfo("token-accuracy", "%"), _check, _scorer, "token-accuracy")
"""Of a first output of N x positions x tokens; a position whose target is below 0, such as -100, is left out.

Source: the per-position share of correct answers that every tagger is judged by, Manning 2011, "Part-of-Speech Tagging
from 97% to 100%: Is It Time for Some Linguistics?".
"""
