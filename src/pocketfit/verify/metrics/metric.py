"""What a metric is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pocketfit.types import MetricInfo, TensorSpec

__all__ = ["Metric", "Scorer"]


@dataclass(frozen=True)
class Scorer:
    """A metric with the answers it is about: all that does not depend on which samples are taken is done.

    Args:
        of: from how often each sample counts, float64 N of whole numbers, to the figure. So samples can be drawn again
            without their answers being looked at again.
        work: how many numbers it goes through each time; says how often that can be afforded.
    """

    of: Callable[[np.ndarray], float]
    work: int


@dataclass(frozen=True)
class Metric:
    """A figure for how well a task is done.

    Args:
        info: its name, unit and direction.
        check: from targets with the samples first, what the user wrote for them, and the model's outputs with batch 1,
            to the targets in the type that `scorer` takes; raises `DataError` for targets that are not what it needs.
        scorer: from the outputs, each with the samples first, and the checked targets.
        fingerprint: what scores are stored under; the name, and of a user's own function its code too.
    """

    info: MetricInfo
    check: Callable[[np.ndarray, str, Sequence[TensorSpec]], np.ndarray]
    scorer: Callable[[Sequence[np.ndarray], np.ndarray], Scorer]
    fingerprint: str

    @property
    def name(self) -> str:
        """As tables show it."""
        return self.info.name

    def score(self, outputs: Sequence[np.ndarray], targets: np.ndarray) -> float:
        """The figure on all samples.

        Args:
            outputs: one array per output of the model, samples first.
            targets: as `check` gave them.
        """
        return self.scorer(outputs, targets).of(np.ones(len(targets)))
