"""The geometry of images of one size as two matrices and a margin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pocketfit.contract.sizes import Letterbox
from pocketfit.contract.spec import Contract
from pocketfit.data.contract.geometry import placement
from pocketfit.data.contract.resize import axis_taps, rounds_between

__all__ = ["Matrices", "matrices"]


@dataclass(frozen=True)
class Matrices:
    """`rows @ pixels @ columns + margin`, with rounding and clipping after the second product and maybe the first.

    Args:
        rows: float32 output height × image height.
        columns: float32 image width × output width.
        margin: float32 output height × output width × 3; what a letterbox fills, 0 where the image lies.
        round_between: whether the first product is rounded to pixels.
    """

    rows: np.ndarray
    columns: np.ndarray
    margin: np.ndarray
    round_between: bool


def matrices(contract: Contract, image: tuple[int, int]) -> Matrices:
    """The matrices for images of that height and width, which stand upright.

    Raises:
        DataError: they are smaller than the crop.
    """
    where = placement(image, contract)
    rows, columns = (
        _matrix(where.image[axis], where.resized[axis], where.size[axis], where.offset[axis], contract)
        for axis in (0, 1)
    )
    fill = contract.resize.fill if isinstance(contract.resize, Letterbox) else (0, 0, 0)
    reached = np.outer(rows.any(axis=1), columns.any(axis=1))
    margin = ~reached[..., None] * np.array(fill, dtype=np.float32)
    return Matrices(rows, np.ascontiguousarray(columns.T), margin, rounds_between(contract.kernel, contract.antialias))


def _matrix(inputs: int, resized: int, outputs: int, offset: int, contract: Contract) -> np.ndarray:
    """Output × input weights; rows of zeros where the image does not reach."""
    taps, unit = axis_taps(inputs, resized, contract.kernel, antialias=contract.antialias)
    whole = np.zeros((resized, inputs))
    np.add.at(whole, (np.arange(resized)[:, None], taps.index), taps.weight / unit)
    first, last = max(0, offset), min(outputs, offset + resized)
    matrix = np.zeros((outputs, inputs), dtype=np.float32)
    matrix[first:last] = whole[first - offset : last - offset]
    return matrix
