"""Several inputs or outputs in one array, a row for each sample, and apart again: between rooms a sample is one row."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pocketfit.types import TensorSpec

if TYPE_CHECKING:
    import numpy as np

__all__ = ["apart", "spelled", "together"]


def together(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """One array as it is; several flattened and one behind the other, N×….

    Args:
        arrays: each with the samples first.
    """
    import numpy as np

    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)


def apart(rows: np.ndarray, specs: Sequence[TensorSpec]) -> list[np.ndarray]:
    """Undo `together`.

    Args:
        rows: samples first.
        specs: what the arrays are, each with batch 1.
    """
    import numpy as np

    if len(specs) == 1:
        return [rows]
    ends = np.cumsum([math.prod(spec.shape) for spec in specs])
    parts = np.split(rows, ends[:-1], axis=1)
    return [part.reshape(len(rows), *spec.shape[1:]) for part, spec in zip(parts, specs, strict=True)]


def spelled(shapes: Iterable[Sequence[int]]) -> str:
    """Shapes as `--input` takes them: 3x224x224, or for several inputs 3x224x224+10."""
    return "+".join("x".join(map(str, shape)) for shape in shapes)
