"""Several outputs in one array, a row for each sample, and apart again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pocketfit.types import TensorSpec

if TYPE_CHECKING:
    import numpy as np

__all__ = ["apart", "together"]


def together(outputs: Sequence[np.ndarray]) -> np.ndarray:
    """One output as it is; several flattened and one behind the other, N×….

    Args:
        outputs: each with the samples first.
    """
    import numpy as np

    if len(outputs) == 1:
        return outputs[0]
    return np.concatenate([output.reshape(len(output), -1) for output in outputs], axis=1)


def apart(rows: np.ndarray, specs: Sequence[TensorSpec]) -> list[np.ndarray]:
    """Undo `together`.

    Args:
        rows: samples first.
        specs: what the outputs are, each with batch 1.
    """
    import numpy as np

    if len(specs) == 1:
        return [rows]
    ends = np.cumsum([math.prod(spec.shape) for spec in specs])
    parts = np.split(rows, ends[:-1], axis=1)
    return [part.reshape(len(rows), *spec.shape[1:]) for part, spec in zip(parts, specs, strict=True)]
