"""How far a quantized model's answers are from the float model's, as one number that needs no labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pocketfit.rows import apart
from pocketfit.types import TensorSpec

__all__ = ["answers_sqnr_db", "decibel", "divergence", "sqnr_db"]


def divergence(outputs: np.ndarray, floats: np.ndarray, specs: Sequence[TensorSpec]) -> float:
    """Mean Kullback-Leibler divergence of the two softmax distributions, or noise over signal; smaller is better.

    Args:
        outputs: of the quantized model, N×C logits, or N×… of any other meaning; several as `together` puts them.
        floats: of the float model, of the same shape.
        specs: the model's outputs.

    Returns:
        Nats per sample for N×C with more than one class; the ratio of the powers of noise and signal otherwise; of
        several outputs the mean. Infinite where an output is not finite.
    """
    return float(np.mean([_divergence(one, other) for one, other in _pairs(outputs, floats, specs)]))


def answers_sqnr_db(outputs: np.ndarray, floats: np.ndarray, specs: Sequence[TensorSpec]) -> float:
    """As `sqnr_db`, of the worst of the model's outputs, which are given as to `divergence`."""
    return min(sqnr_db(one, other) for one, other in _pairs(outputs, floats, specs))


def _pairs(
    outputs: np.ndarray, floats: np.ndarray, specs: Sequence[TensorSpec]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    return zip(apart(outputs, specs), apart(floats, specs), strict=True)


def _divergence(outputs: np.ndarray, floats: np.ndarray) -> float:
    if not np.isfinite(outputs).all():
        return float("inf")
    if floats.ndim == 2 and floats.shape[1] > 1:
        expected, got = _log_softmax(floats), _log_softmax(outputs)
        return float((np.exp(expected) * (expected - got)).sum(1).mean())
    noise = float(np.square(floats - outputs, dtype=np.float64).sum())
    return noise / max(float(np.square(floats, dtype=np.float64).sum()), 1e-30)


def sqnr_db(outputs: np.ndarray, floats: np.ndarray) -> float:
    """Float values against their difference from the quantized ones, in decibel; infinite where they are equal."""
    noise = float(np.square(floats - outputs, dtype=np.float64).sum())
    return decibel(float(np.square(floats, dtype=np.float64).sum()), noise)


def decibel(signal: float, noise: float) -> float:
    """Ratio of two powers in decibel; infinite without noise."""
    return float("inf") if noise == 0 else 10 * float(np.log10(max(signal, 1e-30) / noise))


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    result: np.ndarray = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return result
