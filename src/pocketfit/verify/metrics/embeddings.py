"""What metrics of embeddings share: who is who, and how alike two are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pocketfit.data.checks import check_labels
from pocketfit.errors import DataError
from pocketfit.types import TensorSpec

__all__ = ["check_identities", "similarities"]


def check_identities(targets: np.ndarray, spec: str, outputs: Sequence[TensorSpec]) -> np.ndarray:
    """One whole number a sample, that of the person or thing; at least one of them has two samples.

    Raises:
        DataError: they are something else.
    """
    identities = check_labels(targets, spec, None)
    if len(np.unique(identities)) == len(identities):
        raise DataError(
            f"Every sample of {spec} is of another identity, so no two embeddings should be alike. "
            "Give several samples of the same person or thing the same label."
        )
    return identities


def similarities(embeddings: np.ndarray) -> np.ndarray:
    """Cosine of every two samples, float32 N×N.

    Args:
        embeddings: N×…; a sample is taken as one long vector.
    """
    rows = embeddings.reshape(len(embeddings), -1).astype(np.float32)
    # An embedding of zeros has no direction, and is like nothing.
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    alike: np.ndarray = rows @ rows.T
    return alike
