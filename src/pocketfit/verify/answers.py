"""The class a model answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

__all__ = ["NO_ANSWER", "answers"]

NO_ANSWER = -1


def answers(outputs: np.ndarray) -> np.ndarray:
    """Index of the largest output of each sample, N int64.

    Args:
        outputs: N×…; a sample is taken as one long vector.

    Returns:
        The first index where several are equally large; `NO_ANSWER` where any value is NaN, since every comparison
        with it is arbitrary.
    """
    import numpy as np

    flat = outputs.reshape(len(outputs), -1)
    return np.where(np.isnan(flat).any(axis=1), NO_ANSWER, flat.argmax(axis=1))
