"""A normal distribution over the latencies of known networks, whose mean depends on what is known of the phone.

The empirical form of a Gaussian process over networks: its covariance is not chosen but estimated from the runs, which
are few enough of its rows missing for the EM algorithm.

Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, equation 2.19, for the conditional;
Little and Rubin, "Statistical Analysis with Missing Data", 2002, section 11.2, for the estimation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

__all__ = ["Known", "choose", "estimate", "most_telling"]

# Weight of an independent variance of 0.02 for each network beside the runs.
SHRINKAGE, SHRUNK_TO = 5.0, 0.02
RIDGE = 3.0
ITERATIONS = 12
# Of a single measurement, as a variance of its logarithm.
MEASUREMENT = 5e-4
# Networks are told apart by runs that have them all: fewer say nothing.
LEAST_RUNS = 10


@dataclass(frozen=True)
class Known:
    """What is expected of a run.

    Args:
        weights: of the constant and of each trait, (1 + traits) × networks.
        covariance: of the logarithms of latencies, networks × networks.
    """

    weights: np.ndarray
    covariance: np.ndarray

    def mean(self, traits: np.ndarray) -> np.ndarray:
        """Before anything was measured, by network."""
        expected: np.ndarray = np.concatenate([[1.0], traits]) @ self.weights
        return expected

    def given(self, traits: np.ndarray, chosen: Sequence[int], measured: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance by network once some are measured."""
        mean, picked = self.mean(traits), list(chosen)
        gain = _gain(self.covariance, picked)
        variance = np.diag(self.covariance) - np.einsum("ij,ji->i", gain, self.covariance[picked])
        return mean + gain @ (measured - mean[picked]), np.maximum(variance, MEASUREMENT)


def choose(covariance: np.ndarray, candidates: Sequence[int], count: int) -> list[int]:
    """Which networks to measure: one after another, each that leaves the least uncertainty of all candidates."""
    chosen: list[int] = []
    for _ in range(count):
        rest = [one for one in candidates if one not in chosen]
        chosen.append(min(rest, key=lambda one: _remaining(covariance, [*chosen, one], candidates)))
    return chosen


def most_telling(
    known: Known, log_us: np.ndarray, traits: np.ndarray, candidates: Sequence[int], count: int
) -> list[int]:
    """Which networks to measure: those that predict the other candidates best on runs that are known.

    One after another, then each in turn exchanged for a better one.

    Source: Fedorov, "Theory of Optimal Experiments", 1972, chapter 3, for the exchanges.

    Args:
        known: estimated from these runs.
        log_us: runs × networks.
        traits: runs × traits.
        candidates: networks that can be measured.
        count: how many will be.
    """
    errors, means = partial(_mean_error, known, log_us), np.stack([known.mean(one) for one in traits])
    chosen: list[int] = []
    for _ in range(count):
        chosen = _best(chosen, candidates, lambda some: errors(means, some, candidates))
    for _ in range(count):
        chosen = _best(chosen[1:], candidates, lambda some: errors(means, some, candidates))
    return chosen


def _best(chosen: list[int], candidates: Sequence[int], error: Callable[[list[int]], float]) -> list[int]:
    """With the one candidate more that makes the error the smallest."""
    return min(([*chosen, one] for one in candidates if one not in chosen), key=error)


def _mean_error(
    known: Known, log_us: np.ndarray, means: np.ndarray, chosen: list[int], candidates: Sequence[int]
) -> float:
    """Relative error over the other candidates, on the runs that have the chosen ones."""
    usable = np.isfinite(log_us[:, chosen]).all(axis=1)
    if usable.sum() < LEAST_RUNS:
        return np.inf
    off = log_us[usable] - means[usable]
    rest = [one for one in candidates if one not in chosen]
    left = off[:, rest] - off[:, chosen] @ _gain(known.covariance, chosen)[rest].T
    return float(np.nanmean(np.abs(np.expm1(-left))))


def _remaining(covariance: np.ndarray, chosen: list[int], candidates: Sequence[int]) -> float:
    variance = np.diag(covariance) - np.einsum("ij,ji->i", _gain(covariance, chosen), covariance[chosen])
    return float(np.sqrt(np.maximum(variance[list(candidates)], 0)).sum())


def _gain(covariance: np.ndarray, chosen: list[int]) -> np.ndarray:
    among = covariance[np.ix_(chosen, chosen)] + MEASUREMENT * np.eye(len(chosen))
    gain: np.ndarray = np.linalg.solve(among, covariance[chosen]).T
    return gain


def estimate(log_us: np.ndarray, traits: np.ndarray, weights: np.ndarray | None = None) -> Known:
    """Estimate from runs.

    Args:
        log_us: runs × networks; not a number where nothing was measured.
        traits: runs × traits; none for a mean that is the same for all.
        weights: how much each run counts; all count the same without them.
    """
    runs, networks = log_us.shape
    counts = np.ones(runs) if weights is None else weights
    total, column = counts.sum(), counts[:, None]
    known = np.hstack([np.ones((runs, 1)), traits])
    held = np.diag([1e-6, *[RIDGE] * traits.shape[1]])
    means = np.zeros((known.shape[1], networks))
    means[0] = np.nansum(column * log_us, axis=0) / (column * np.isfinite(log_us)).sum(axis=0)
    covariance = 2 * np.ones((networks, networks)) + 0.1 * np.eye(networks)
    for _ in range(ITERATIONS):
        mean = known @ means
        filled, missing = _filled(log_us, mean, covariance, counts)
        # The level of a run is its own: traits explain the differences between its networks.
        level = (filled - mean).mean(axis=1, keepdims=True)
        means = np.linalg.solve(known.T @ (column * known) + held, known.T @ (column * (filled - level)))
        error = filled - known @ means
        spread = error.T @ (column * error) + missing + SHRINKAGE * SHRUNK_TO * np.eye(networks)
        covariance = spread / (total + SHRINKAGE) + 1.0 / total
    return Known(means, covariance)


def _filled(
    log_us: np.ndarray, mean: np.ndarray, covariance: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The table with its gaps filled by their expectation, and the weighted sum of the covariances of the gaps."""
    filled, missing = np.where(np.isnan(log_us), mean, log_us), np.zeros_like(covariance)
    for row, values in enumerate(log_us):
        seen, gaps = np.flatnonzero(~np.isnan(values)), np.flatnonzero(np.isnan(values))
        if not len(gaps):
            continue
        gain = np.linalg.solve(covariance[np.ix_(seen, seen)], covariance[np.ix_(seen, gaps)]).T
        filled[row, gaps] = mean[row, gaps] + gain @ (values[seen] - mean[row, seen])
        left = covariance[np.ix_(gaps, gaps)] - gain @ covariance[np.ix_(seen, gaps)]
        missing[np.ix_(gaps, gaps)] += counts[row] * left
    return filled, missing
