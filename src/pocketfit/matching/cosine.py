"""The cosine of two embeddings, to the last bit the same in every language."""

from __future__ import annotations

import numpy as np

from pocketfit.errors import DataError

__all__ = ["dot", "normalised"]

# Sums that are kept side by side, so that a processor need not wait for one addition before it begins the next.
_LANES = 4


def dot(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Sum of the products of two float32 arrays over their last axis, as float64.

    Number i goes to sum i mod 4, and the sums are added as (0 + 1) + (2 + 3). A product of two float32 numbers is exact
    in float64, so a processor that fuses it with the sum gets the same bits.

    Args:
        rows: float32 …×L.
        others: float32 …×L, of a shape that goes with it.
    """
    shape = np.broadcast_shapes(rows.shape, others.shape)
    sums = np.zeros((*shape[:-1], _LANES))
    for start in range(0, shape[-1], _LANES):
        part = slice(start, start + _LANES)
        products = rows[..., part].astype(np.float64) * others[..., part]
        sums[..., : products.shape[-1]] += products
    found: np.ndarray = (sums[..., 0] + sums[..., 1]) + (sums[..., 2] + sums[..., 3])
    return found


def normalised(embeddings: np.ndarray) -> np.ndarray:
    """Embeddings of length 1, rounded to float32 once.

    Args:
        embeddings: …×L; rounded to float32 before anything else.

    Raises:
        DataError: one holds a number that is not finite, or zeros alone.
    """
    rows = embeddings.astype(np.float32)
    lengths = np.sqrt(dot(rows, rows))
    if not np.isfinite(lengths).all() or not lengths.all():
        raise DataError(
            "An embedding is all zeros, or holds a number that is not finite, so it has no direction. "
            "Check the model and what it is fed."
        )
    unit: np.ndarray = (rows / lengths[..., None]).astype(np.float32)
    return unit
