"""How close an artifact's outputs are to those expected of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pocketfit.errors import DataError, VerificationFailed
from pocketfit.rows import apart
from pocketfit.types import Parity, TensorSpec
from pocketfit.verify.answers import NO_ANSWER, answers

if TYPE_CHECKING:
    import numpy as np

__all__ = ["compare", "compare_outputs"]


def compare(got: np.ndarray, expected: np.ndarray) -> Parity:
    """Compare outputs sample by sample.

    A NaN, or an infinity where another value is expected, is an infinite error and never an agreement.

    Args:
        got: N×…, any float dtype; may be memory-mapped, one sample is looked at at a time.
        expected: N×… with as many values per sample.

    Raises:
        VerificationFailed: the two have different numbers of samples or values.
        DataError: there is no sample or no value.
    """
    _check_shapes(got, expected)
    rows = [_compare_sample(left, right) for left, right in zip(got, expected, strict=True)]
    values = expected.size
    return Parity(
        max_error=max(row.max_error for row in rows),
        mean_error=math.fsum(row.sum_error for row in rows) / values,
        cosine=math.fsum(row.cosine for row in rows) / len(rows),
        sqnr_db=_decibel(math.fsum(row.signal for row in rows), math.fsum(row.noise for row in rows)),
        agreement=sum(row.agrees for row in rows) / len(rows),
        samples=len(rows),
    )


def compare_outputs(got: np.ndarray, expected: np.ndarray, specs: Sequence[TensorSpec]) -> Parity:
    """Compare the answers of a model that may have several outputs: each by itself, and the worst figure counts.

    Args:
        got: N×…; several outputs as `pocketfit.rows.together` puts them.
        expected: likewise.
        specs: the model's outputs; whether the answers agree is asked of the first.

    Raises:
        VerificationFailed: as `compare`.
        DataError: as `compare`.
    """
    if len(specs) == 1:
        return compare(got, expected)
    _check_shapes(got, expected)
    rows = [compare(one, other) for one, other in zip(apart(got, specs), apart(expected, specs), strict=True)]
    return Parity(
        max_error=max(row.max_error for row in rows),
        mean_error=max(row.mean_error for row in rows),
        cosine=min(row.cosine for row in rows),
        sqnr_db=min(row.sqnr_db for row in rows),
        agreement=rows[0].agreement,
        samples=rows[0].samples,
    )


@dataclass(frozen=True)
class _Sample:
    max_error: float
    sum_error: float
    cosine: float
    signal: float
    noise: float
    agrees: bool


def _check_shapes(got: np.ndarray, expected: np.ndarray) -> None:
    if expected.size == 0:
        raise DataError(f"nothing to compare: expected outputs have shape {expected.shape}; give at least one sample")
    if len(got) != len(expected) or got.size != expected.size:
        raise VerificationFailed(
            f"the artifact's outputs have shape {got.shape}, those expected {expected.shape}: "
            "it was made from another model; convert it again"
        )


def _compare_sample(got: np.ndarray, expected: np.ndarray) -> _Sample:
    import numpy as np

    left, right = np.ravel(got).astype(np.float64), np.ravel(expected).astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.where(left == right, 0.0, np.abs(left - right))
        difference[np.isnan(difference)] = math.inf
        return _Sample(
            max_error=float(difference.max()),
            sum_error=float(difference.sum()),
            cosine=_cosine(left, right),
            signal=float(np.dot(right, right)),
            noise=float(np.dot(difference, difference)),
            agrees=_agree(left, right),
        )


def _agree(left: np.ndarray, right: np.ndarray) -> bool:
    answer = answers(left[None])[0]
    return bool(answer != NO_ANSWER and answer == answers(right[None])[0])


def _cosine(left: np.ndarray, right: np.ndarray) -> float:
    """Cosine of two vectors: 1 for equal ones, zeros included; 0 where one has no direction."""
    import numpy as np

    if np.array_equal(left, right):
        return 1.0
    length = float(np.linalg.norm(left) * np.linalg.norm(right))
    if length == 0 or not math.isfinite(length):
        return 0.0
    return float(np.dot(left, right)) / length


def _decibel(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    if signal == 0 or not math.isfinite(noise):
        return -math.inf
    return 10 * math.log10(signal / noise)
