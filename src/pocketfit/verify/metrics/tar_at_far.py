"""TAR@FAR: how many pairs of the same person are accepted when hardly any pair of two persons is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pocketfit.errors import DataError, OptionError
from pocketfit.types import MetricInfo
from pocketfit.verify.metrics.embeddings import check_identities, similarities
from pocketfit.verify.metrics.metric import Metric, Scorer

__all__ = ["tar_at_far"]

# Drawing samples again shifts the threshold among the impostors; it stays within this many times the share accepted,
# and where few are accepted within so many pairs more.
_REACH = 4
_FEWEST = 1000


def tar_at_far(far: float, written: str) -> Metric:
    """The share of genuine pairs whose cosine is above the threshold that lets `far` of the impostor pairs through.

    All pairs of held-out samples are taken. The threshold is the cosine of the first impostor that must stay out; a
    pair as alike as that stays out too.

    Source: Phillips et al. 2011, "An introduction to evaluating biometric systems", and the 1:1 protocol of Klare et
    al. 2015, "Pushing the Frontiers of Unconstrained Face Detection and Recognition: IARPA Janus Benchmark A".

    Args:
        far: share of impostor pairs that are accepted, above 0 and below 1; N samples take memory for N² pairs.
        written: the rate as the user wrote it, for the name.

    Raises:
        OptionError: the rate is none.
    """
    if not 0 < far < 1:
        raise OptionError(f"tar@far={written} is no rate. Give a share above 0 and below 1, such as tar@far=1e-3.")
    name = f"tar@far={written}"

    def scorer(outputs: Sequence[np.ndarray], targets: np.ndarray) -> Scorer:
        pairs = _pairs(similarities(outputs[0]), targets, far)
        return Scorer(lambda weights: pairs.accepted(weights, far), len(pairs.genuine) + len(pairs.impostors))

    return Metric(MetricInfo(name, "%"), check_identities, scorer, name)


@dataclass(frozen=True)
class _Pairs:
    """Pairs as rows of two positions, with their cosines; of the impostors only the most alike, those first."""

    genuine: np.ndarray
    genuine_cosines: np.ndarray
    impostors: np.ndarray
    impostor_cosines: np.ndarray
    identities: np.ndarray

    def accepted(self, weights: np.ndarray, far: float) -> float:
        """In per cent; NaN where there is no pair of one kind."""
        genuine, impostors = (weights[pairs].prod(axis=1) for pairs in (self.genuine, self.impostors))
        total = self._impostor_weight(weights)
        if total == 0 or genuine.sum() == 0:
            return math.nan
        let_in = int(np.searchsorted(np.cumsum(impostors), math.floor(far * total + 1e-9), side="right"))
        threshold = self.impostor_cosines[min(let_in, len(self.impostor_cosines) - 1)]
        return float(100 * genuine[self.genuine_cosines > threshold].sum() / genuine.sum())

    def _impostor_weight(self, weights: np.ndarray) -> float:
        """Of all impostor pairs: all pairs less those within an identity."""
        own = np.bincount(self.identities, weights=weights)
        return float((own.sum() ** 2 - (own**2).sum()) / 2)


def _pairs(alike: np.ndarray, targets: np.ndarray, far: float) -> _Pairs:
    _, identities = np.unique(targets, return_inverse=True)
    first, second = np.triu_indices(len(alike), k=1)
    cosines, same = alike[first, second], identities[first] == identities[second]
    impostors = np.flatnonzero(~same)
    if len(impostors) * far < 1 or not same.any():
        raise DataError(
            f"{len(alike)} held-out samples make {int(same.sum())} genuine and {len(impostors)} impostor pairs; a "
            f"rate of {far:g} takes at least 1 and {math.ceil(1 / far)}. Give more data, or a larger rate."
        )
    kept = min(len(impostors), _REACH * math.ceil(far * len(impostors)) + _FEWEST)
    most = impostors[np.argpartition(-cosines[impostors], kept - 1)[:kept]]
    most = most[np.argsort(-cosines[most], kind="stable")]
    pairs = np.stack([first, second], axis=1)
    return _Pairs(pairs[same], cosines[same], pairs[most], cosines[most], identities)
