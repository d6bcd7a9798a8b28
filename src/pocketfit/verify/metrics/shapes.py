"""Targets that are what the first output should be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pocketfit.data.checks import check_finite
from pocketfit.errors import DataError
from pocketfit.types import TensorSpec

__all__ = ["check_like_output", "differences"]


def check_like_output(targets: np.ndarray, spec: str, outputs: Sequence[TensorSpec]) -> np.ndarray:
    """Finite numbers in the shape of the first output, as float32; axes of size 1 may be missing.

    Raises:
        DataError: they are something else.
    """
    shape = outputs[0].shape[1:]
    if _plain(targets.shape[1:]) != _plain(shape) or targets.dtype.kind not in "fiu":
        raise DataError(
            f"The targets of {spec} are {targets.dtype} of shape {targets.shape}; mae, rmse and psnr need numbers of "
            f"the shape of the model's first output, {'x'.join(map(str, ('N', *shape)))}."
        )
    numbers = targets.astype(np.float32)
    check_finite(numbers, f"y of {spec}")
    return numbers


def differences(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Output less target, float64 N×(numbers of a sample)."""
    count = len(targets)
    gaps: np.ndarray = outputs.reshape(count, -1).astype(np.float64) - targets.reshape(count, -1)
    return gaps


def _plain(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)
