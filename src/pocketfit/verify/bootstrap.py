"""How sure a difference between two models is, by drawing their samples again."""

from __future__ import annotations

import numpy as np

from pocketfit.errors import DataError
from pocketfit.verify.metrics import Scorer

__all__ = ["paired_interval", "resamples"]

MOST, FEWEST = 1000, 100
# Numbers that are gone through in about a second, by two models together.
AFFORDED = 100_000_000
_ENDS = (2.5, 97.5)


def resamples(work: int) -> int:
    """How often samples are drawn: as often as a second allows, and the same number on every machine.

    Args:
        work: numbers that scoring once goes through.
    """
    return int(np.clip(AFFORDED // max(work, 1), FEWEST, MOST))


def paired_interval(first: Scorer, second: Scorer, samples: int) -> tuple[float, float]:
    """95% interval of the first figure less the second one, both taken on the same samples each time.

    Source: the percentile interval of Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13, of
    paired differences. The draws are the same in every run.

    Args:
        first: a metric with one model's answers.
        second: the same metric with another one's to the same samples.
        samples: how many there are.

    Raises:
        DataError: no draw has a figure.
    """
    random = np.random.default_rng(0)
    gaps = []
    for _ in range(resamples(first.work + second.work)):
        weights = np.bincount(random.integers(0, samples, samples), minlength=samples).astype(np.float64)
        gaps.append(_gap(first, second, weights))
    known = np.array(gaps)[np.isfinite(gaps)]
    if not len(known):
        raise DataError(
            f"None of {len(gaps)} draws from the {samples} held-out samples has a figure, so nothing can be said of "
            "how sure it is. Give more data."
        )
    low, high = np.percentile(known, _ENDS)
    return float(low), float(high)


def _gap(first: Scorer, second: Scorer, weights: np.ndarray) -> float:
    """NaN where a function of the user's own cannot score these samples, such as those of one class only."""
    try:
        return first.of(weights) - second.of(weights)
    except DataError:
        return np.nan
