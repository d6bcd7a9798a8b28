"""Recall@k: the share of samples that have one of their own among the k most alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pocketfit.errors import OptionError
from pocketfit.types import MetricInfo
from pocketfit.verify.metrics.embeddings import check_identities, similarities
from pocketfit.verify.metrics.metric import Metric, Scorer
from pocketfit.verify.metrics.shares import average

__all__ = ["recall_at"]


def recall_at(k: int) -> Metric:
    """Each held-out sample looks for its like among all the others, by the cosine of the first output.

    A sample that is the only one of its identity is looked at by others, and looks for nothing. Drawing samples again
    draws those that look; what they look at stays, or a sample drawn twice would find itself.

    Source: Jegou et al. 2011, "Product quantization for nearest neighbor search"; as used for embeddings by Oh Song et
    al. 2016, "Deep Metric Learning via Lifted Structured Feature Embedding".

    Args:
        k: how many of the others are looked at, at least 1; N samples take memory for N² pairs.

    Raises:
        OptionError: k is below 1.
    """
    if k < 1:
        raise OptionError(f"recall@{k} looks at nothing. Give recall@1, recall@5 or another number above 0.")
    name = f"recall@{k}"

    def scorer(outputs: Sequence[np.ndarray], targets: np.ndarray) -> Scorer:
        found, looking = _found(similarities(outputs[0]), targets, k)
        mean = average(100.0 * found[looking])
        return Scorer(lambda weights: mean.of(weights[looking]) if weights[looking].any() else np.nan, mean.work)

    return Metric(MetricInfo(name, "%"), check_identities, scorer, name)


def _found(alike: np.ndarray, identities: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Which samples find one of their own, and which have one to find."""
    np.fill_diagonal(alike, -np.inf)
    k = min(k, len(alike) - 1)
    nearest = np.argpartition(-alike, k - 1, axis=1)[:, :k]
    found = (identities[nearest] == identities[:, None]).any(axis=1)
    _, which, counts = np.unique(identities, return_inverse=True, return_counts=True)
    return found, counts[which] > 1
