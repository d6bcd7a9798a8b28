"""How fast a processor is at each kind of work, what is known of it, and how a few measurements change that.

A layer takes the sum over kinds of amount times microseconds a unit; a model takes the sum over its layers. The
logarithms of the microseconds have a normal distribution, so that the logarithm of a model's latency has one as well,
as far as it is linear in them: a Gaussian process over models, whose kernel is made of the shares of time that each
kind takes. What is left, the effect of a model beyond the kinds of its work, is noise of the size `spread`.

Source: Williams, Waterman and Patterson, "Roofline", 2009, for work and traffic as separate terms; Rasmussen and
Williams, "Gaussian Processes for Machine Learning", 2006, section 2.2, for the update.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pocketfit.devices.predict.kinds import KINDS, Kind

__all__ = ["NINETY", "Estimate", "Speeds", "adapted", "amounts_vector", "prior_covariance"]

# Standard deviations of logarithms between one processor and another, as the measured tables have them: of all work at
# once, of a group of kinds, and of one kind in its group.
LEVEL, GROUP, KIND = 1.0, 0.5, 0.15
# A normal distribution's 5 % and 95 % points.
NINETY = 1.645
UPDATES = 20


@dataclass(frozen=True)
class Estimate:
    """A predicted latency.

    Args:
        ms: the median.
        low_ms: 5 % of cases are expected below.
        high_ms: 5 % of cases are expected above.
    """

    ms: float
    low_ms: float
    high_ms: float


@dataclass(frozen=True)
class Speeds:
    """What is known of one way to run models on one phone.

    Args:
        log_us: logarithm of microseconds a unit, by kind, in the order of `kinds_of` the processor.
        covariance: of these.
        spread: standard deviation of what a model's latency has beyond its kinds of work, in logarithms.
    """

    log_us: np.ndarray
    covariance: np.ndarray
    spread: float

    def layer_ms(self, layers: np.ndarray) -> np.ndarray:
        """Milliseconds of each layer.

        Args:
            layers: amounts, layers × kinds.
        """
        times: np.ndarray = layers @ np.exp(self.log_us) / 1000
        return times

    def estimate(self, layers: np.ndarray) -> Estimate:
        """Predict a model that was not measured.

        Args:
            layers: amounts, layers × kinds.
        """
        total, shares = _total(layers.sum(axis=0), self.log_us)
        deviation = np.sqrt(shares @ self.covariance @ shares + self.spread**2)
        ms = total / 1000
        return Estimate(ms, ms * float(np.exp(-NINETY * deviation)), ms * float(np.exp(NINETY * deviation)))


def adapted(prior: Speeds, measured: Sequence[tuple[np.ndarray, float]]) -> Speeds:
    """Adapt to measured latencies: the most likely speeds, by Gauss-Newton steps, and what remains uncertain of them.

    Args:
        prior: what was known before.
        measured: amounts of a model, by kind, and its latency in milliseconds; at least one.
    """
    amounts = np.stack([one for one, _ in measured])
    target = np.log([1000 * ms for _, ms in measured])
    log_us, covariance = prior.log_us, prior.covariance
    for _ in range(UPDATES):
        pairs = [_total(row, log_us) for row in amounts]
        shares = np.stack([share for _, share in pairs])
        expected = np.log([total for total, _ in pairs]) + shares @ (prior.log_us - log_us)
        gain = _gain(prior, shares)
        log_us = prior.log_us + gain @ (target - expected)
    covariance = prior.covariance - gain @ shares @ prior.covariance
    return replace(prior, log_us=log_us, covariance=(covariance + covariance.T) / 2)


def prior_covariance(
    level: float = LEVEL, group: float = GROUP, kind: float = KIND, kinds: Sequence[Kind] = KINDS
) -> np.ndarray:
    """Of the logarithms of speeds between two processors.

    Args:
        level: standard deviation of all kinds together.
        group: of a group of kinds.
        kind: of one kind in its group.
        kinds: of work that the processor has speeds for.
    """
    groups = np.array([one.group for one in kinds])
    together = groups[:, None] == groups[None, :]
    covariance: np.ndarray = level**2 + group**2 * together + kind**2 * np.eye(len(groups))
    return covariance


def amounts_vector(amounts: Mapping[str, float], kinds: Sequence[Kind] = KINDS) -> np.ndarray:
    """Amounts in the order of the kinds."""
    return np.array([amounts.get(kind.name, 0.0) for kind in kinds])


def _gain(prior: Speeds, shares: np.ndarray) -> np.ndarray:
    noisy = shares @ prior.covariance @ shares.T + prior.spread**2 * np.eye(len(shares))
    gain: np.ndarray = np.linalg.solve(noisy, shares @ prior.covariance).T
    return gain


def _total(amounts: np.ndarray, log_us: np.ndarray) -> tuple[float, np.ndarray]:
    """Microseconds of a model, and the share of each kind in them."""
    times = amounts * np.exp(log_us)
    total = float(times.sum())
    return total, times / total
