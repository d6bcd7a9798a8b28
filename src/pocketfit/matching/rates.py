"""Operating points: the threshold for a false-accept rate, and how many genuine pairs it lets through."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pocketfit.data.contract.postprocess import softmax as as_shares
from pocketfit.errors import DataError, OptionError
from pocketfit.matching.cosine import dot, normalised
from pocketfit.verify.bootstrap import resamples

__all__ = ["OperatingPoint", "Scored", "all_pairs", "cosines", "operating_points", "probabilities"]

# Pairs whose embeddings are side by side in memory at once.
_CHUNK = 1 << 16
_ENDS = (2.5, 97.5)


@dataclass(frozen=True)
class Scored:
    """Scores, higher where two samples are alike, and which of them should be.

    Args:
        scores: float64, one per pair.
        genuine: bool, one per pair: of the same person; the others are impostors.
        members: int64 pairs × 2, the samples of each pair; pairs × 1 where a score is that of one sample.
        samples: how many there are.
    """

    scores: np.ndarray
    genuine: np.ndarray
    members: np.ndarray
    samples: int

    def __post_init__(self) -> None:
        if not np.isfinite(self.scores).all():
            raise DataError("A score is not a finite number. Check the model's outputs.")
        if self.genuine.all() or not self.genuine.any():
            raise DataError(
                f"Of {len(self.genuine)} pairs {int(self.genuine.sum())} are genuine; there have to be some of both "
                "kinds. Give several samples of several persons."
            )

    @property
    def impostors(self) -> int:
        """How many pairs are not genuine."""
        return int((~self.genuine).sum())


@dataclass(frozen=True)
class OperatingPoint:
    """What a threshold does, where a pair is accepted whose score is above it.

    Args:
        wanted: false-accept rate that was asked for, a share.
        threshold: the score of the first impostor that must stay out.
        far: share of impostors accepted; at most `wanted`.
        far_low: lower end of its 95% interval.
        far_high: upper end.
        tar: share of genuine pairs accepted.
        tar_low: lower end of its 95% interval.
        tar_high: upper end.
    """

    wanted: float
    threshold: float
    far: float
    far_low: float
    far_high: float
    tar: float
    tar_low: float
    tar_high: float


def all_pairs(samples: int) -> np.ndarray:
    """Every two of so many samples, int64 pairs × 2."""
    return np.stack(np.triu_indices(samples, k=1), axis=1)


def cosines(embeddings: np.ndarray, members: np.ndarray, genuine: np.ndarray) -> Scored:
    """Score pairs of samples by the cosine of their embeddings.

    Args:
        embeddings: N×…; a sample is taken as one long vector.
        members: int64 pairs × 2.
        genuine: bool, one per pair.

    Raises:
        DataError: an embedding has no direction, or all pairs are of one kind.
    """
    rows = normalised(embeddings.reshape(len(embeddings), -1))
    chunks = (members[start : start + _CHUNK] for start in range(0, len(members), _CHUNK))
    scores = [dot(rows[chunk[:, 0]], rows[chunk[:, 1]]) for chunk in chunks]
    return Scored(np.concatenate(scores), genuine, members, len(rows))


def probabilities(outputs: np.ndarray, labels: np.ndarray, live: int, *, softmax: bool) -> Scored:
    """Score samples by the probability of one class, as of a gate that is to let live faces through.

    Args:
        outputs: N×classes.
        labels: N class indices.
        live: the class.
        softmax: whether the outputs are logits.

    Raises:
        DataError: there is no such class, or all samples are of one kind.
    """
    rows = outputs.reshape(len(outputs), -1).astype(np.float64)
    rows = as_shares(rows) if softmax else rows
    if not 0 <= live < rows.shape[1]:
        raise DataError(f"Class {live} is not among the {rows.shape[1]} that the model answers, 0 the first.")
    return Scored(rows[:, live], labels == live, np.arange(len(rows))[:, None], len(rows))


def operating_points(scored: Scored, rates: Sequence[float]) -> tuple[OperatingPoint, ...]:
    """One for each false-accept rate that there are impostors enough for.

    A rate below one impostor among all is left out: nothing was seen of it. Both intervals are the wider of two: that
    of Clopper and Pearson, as if no two pairs shared a sample, and that of samples drawn again, which knows that pairs
    do share them. The threshold is chosen and judged on the same pairs, and is held fixed while they are drawn.

    Source: Phillips et al. 2011, "An introduction to evaluating biometric systems"; Clopper and Pearson 1934, "The use
    of confidence or fiducial limits illustrated in the case of the binomial"; Efron and Tibshirani 1993, chapter 13.

    Raises:
        OptionError: a rate is not above 0 and below 1.
    """
    for rate in rates:
        if not 0 < rate < 1:
            raise OptionError(f"{rate:g} is no false-accept rate. Give a share above 0 and below 1, such as 1e-3.")
    known = [rate for rate in rates if rate * scored.impostors >= 1 - 1e-9]
    thresholds = [_threshold(scored, rate) for rate in known]
    drawn = np.array(list(_draws(scored, thresholds)))
    return tuple(_point(scored, known[i], thresholds[i], drawn[:, i]) for i in range(len(known)))


def _threshold(scored: Scored, rate: float) -> float:
    impostors = np.sort(scored.scores[~scored.genuine])[::-1]
    return float(impostors[math.floor(rate * len(impostors) + 1e-9)])


def _draws(scored: Scored, thresholds: Sequence[float]) -> Iterator[list[tuple[float, float]]]:
    """Both rates at each threshold, of samples drawn again; a pair counts as often as both its samples."""
    random = np.random.default_rng(0)
    genuine, impostors = scored.members[scored.genuine], scored.members[~scored.genuine]
    good, bad = scored.scores[scored.genuine], scored.scores[~scored.genuine]
    accepted = [(np.flatnonzero(bad > threshold), np.flatnonzero(good > threshold)) for threshold in thresholds]
    for _ in range(resamples(len(scored.scores))):
        weights = np.bincount(random.integers(0, scored.samples, scored.samples), minlength=scored.samples)
        counted = [weights[pairs].prod(axis=1).astype(np.float64) for pairs in (impostors, genuine)]
        totals = [max(one.sum(), 1.0) for one in counted]
        yield [(counted[0][far].sum() / totals[0], counted[1][tar].sum() / totals[1]) for far, tar in accepted]


def _point(scored: Scored, rate: float, threshold: float, drawn: np.ndarray) -> OperatingPoint:
    ends = []
    for kind, values in ((~scored.genuine, drawn[:, 0]), (scored.genuine, drawn[:, 1])):
        accepted, total = int((scored.scores[kind] > threshold).sum()), int(kind.sum())
        exact, (low, high) = _clopper_pearson(accepted, total), np.percentile(values, _ENDS)
        ends.append((accepted / total, min(exact[0], float(low)), max(exact[1], float(high))))
    return OperatingPoint(rate, threshold, *ends[0], *ends[1])


def _clopper_pearson(accepted: int, total: int) -> tuple[float, float]:
    from scipy.stats import beta

    low = float(beta.ppf(0.025, accepted, total - accepted + 1)) if accepted else 0.0
    high = float(beta.ppf(0.975, accepted + 1, total - accepted)) if accepted < total else 1.0
    return low, high
