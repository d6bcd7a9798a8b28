"""Pairs of samples from an `.npz` file, of which it is known whether they are of the same person."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from pocketfit.errors import DataError
from pocketfit.types import Samples

__all__ = ["read_pairs"]

_HOW = "Write it with numpy.savez(path, x=samples, pairs=positions, same=flags)."


def read_pairs(path: Path, shape: tuple[int, ...]) -> tuple[Samples, np.ndarray, np.ndarray]:
    """Read samples and the pairs that are made of them.

    Args:
        path: an `.npz` with `x`, float N×(shape), `pairs`, whole numbers P×2, and `same`, P of 0 and 1 or booleans.
        shape: of a sample of the model.

    Returns:
        The samples; int64 P×2 positions; bool P.

    Raises:
        DataError: the file is missing or corrupt, or an array is not as it has to be.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            x, members, same = (archive[name] for name in ("x", "pairs", "same"))
    except (KeyError, ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} cannot be read as pairs: {error}. {_HOW}") from error
    if x.shape[1:] != shape or not np.issubdtype(x.dtype, np.floating):
        raise DataError(f"x in {path} is {x.dtype} {x.shape}; the model takes float N x {shape}. {_HOW}")
    whole = np.issubdtype(members.dtype, np.integer) and members.ndim == 2 and members.shape[1:] == (2,)
    if not whole or not len(members) or members.min() < 0 or members.max() >= len(x):
        raise DataError(
            f"pairs in {path} is {members.dtype} {members.shape}; it has to be P x 2 positions in x. {_HOW}"
        )
    if same.shape != members.shape[:1] or not np.isin(same, (0, 1)).all():
        raise DataError(f"same in {path} is {same.dtype} {same.shape}; it has to be 0 or 1 for each pair. {_HOW}")
    return Samples(x.astype(np.float32), None, None), members.astype(np.int64), same.astype(bool)
