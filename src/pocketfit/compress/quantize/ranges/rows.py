"""The search for one scale a row that every method of rounding weights shares."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["as_rows", "best_row_scales"]

# Elements worked on at a time: they and what is computed from them stay in the processor's cache.
_BLOCK = 2**15


def as_rows(weight: np.ndarray, axis: int) -> np.ndarray:
    """A row per channel along `axis`, float64."""
    rows: np.ndarray = np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1).astype(np.float64)
    return rows


def best_row_scales(
    rows: np.ndarray, candidates: np.ndarray, nearest: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """For each row, of its candidates the scale with the smallest squared error; the first of equals.

    Args:
        rows: float64, rows × values.
        candidates: float64 positive scales, candidates × rows.
        nearest: takes multiples of a scale to those that can be stored.

    Returns:
        float64, one scale a row.
    """
    step = max(_BLOCK // max(rows.shape[1], 1), 1)
    parts = []
    for start in range(0, len(rows), step):
        block, scales = rows[start : start + step], candidates[:, start : start + step]
        errors = np.stack([_errors(block, each[:, None], nearest) for each in scales])
        parts.append(np.take_along_axis(scales, errors.argmin(0)[None], 0)[0])
    return np.concatenate(parts)


def _errors(rows: np.ndarray, scales: np.ndarray, nearest: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    difference = nearest(rows / scales) * scales - rows
    errors: np.ndarray = np.einsum("ij,ij->i", difference, difference)
    return errors
