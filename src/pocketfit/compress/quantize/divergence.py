"""How far a quantized model's answers are from the float model's, as one number that needs no labels."""

from __future__ import annotations

import numpy as np

__all__ = ["decibel", "divergence", "sqnr_db"]


def divergence(outputs: np.ndarray, floats: np.ndarray) -> float:
    """Mean Kullback-Leibler divergence of the two softmax distributions, or noise over signal; smaller is better.

    Args:
        outputs: of the quantized model, N×C logits, or N×… of any other meaning.
        floats: of the float model, of the same shape.

    Returns:
        Nats per sample for N×C with more than one class; the ratio of the powers of noise and signal otherwise.
        Infinite where an output is not finite.
    """
    if not np.isfinite(outputs).all():
        return float("inf")
    if floats.ndim == 2 and floats.shape[1] > 1:
        expected, got = _log_softmax(floats), _log_softmax(outputs)
        return float((np.exp(expected) * (expected - got)).sum(1).mean())
    noise = float(np.square(floats - outputs, dtype=np.float64).sum())
    return noise / max(float(np.square(floats, dtype=np.float64).sum()), 1e-30)


def sqnr_db(outputs: np.ndarray, floats: np.ndarray) -> float:
    """Float outputs against their difference from the quantized ones, in decibel; infinite where they are equal."""
    noise = float(np.square(floats - outputs, dtype=np.float64).sum())
    return decibel(float(np.square(floats, dtype=np.float64).sum()), noise)


def decibel(signal: float, noise: float) -> float:
    """Ratio of two powers in decibel; infinite without noise."""
    return float("inf") if noise == 0 else 10 * float(np.log10(max(signal, 1e-30) / noise))


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    result: np.ndarray = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return result
