"""Golden vectors: a few inputs with the outputs expected for them, in a form that needs no library to read.

A file holds float32 numbers, little-endian, row by row, and nothing else; the manifest has the shapes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pocketfit.bundle.manifest import Golden, GoldenArray
from pocketfit.errors import VerificationFailed
from pocketfit.types import Precision, Scheme

if TYPE_CHECKING:
    import numpy as np

__all__ = ["golden_name", "read_array", "write_golden"]

FOLDER = "golden"
ITEM_BYTES = 4


def golden_name(precision: Precision, scheme: Scheme) -> str:
    """Name of the golden set for artifacts of that kind, such as "float32" or "int8-affine"."""
    return f"{precision}-{scheme}" if precision is Precision.INT8 else str(precision)


def write_golden(inputs: np.ndarray, expected: Mapping[str, np.ndarray], root: Path) -> Golden:
    """Write inputs and expected outputs under `root`.

    Args:
        inputs: float32 n×C×H×W, preprocessed; several inputs of a sample as one row.
        expected: n×… by name of the golden set.
        root: the bundle's folder.
    """
    (root / FOLDER).mkdir()
    return Golden(
        dtype="float32",
        byte_order="little",
        samples=len(inputs),
        inputs=_write_array(inputs, root, "inputs"),
        expected={name: _write_array(outputs, root, f"expected-{name}") for name, outputs in expected.items()},
    )


def read_array(array: GoldenArray, root: Path) -> np.ndarray:
    """Read one golden file of the bundle in `root`.

    Raises:
        VerificationFailed: the file's size does not fit its shape.
    """
    import numpy as np

    path = root / array.file
    needed = math.prod(array.shape) * ITEM_BYTES
    if path.stat().st_size != needed:
        raise VerificationFailed(
            f"{array.file} has {path.stat().st_size} bytes; shape {array.shape} in float32 needs {needed}: "
            "the bundle is damaged, write it again"
        )
    return np.fromfile(path, dtype="<f4").reshape(array.shape)


def _write_array(values: np.ndarray, root: Path, name: str) -> GoldenArray:
    import numpy as np

    file = f"{FOLDER}/{name}.bin"
    (root / file).write_bytes(np.ascontiguousarray(values, dtype="<f4").tobytes())
    return GoldenArray(file=file, shape=values.shape)
