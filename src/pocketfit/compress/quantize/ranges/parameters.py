"""From a range to its scale, in the integers that plans are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pocketfit.compress.quantize.formulas import affine_parameters, symmetric_parameters

if TYPE_CHECKING:
    from pocketfit.compress.quantize.statistics import TensorStatistics

__all__ = ["affine_from_range", "largest_integer", "largest_magnitude", "sixteen_bit_scale"]


def affine_from_range(low: float, high: float) -> tuple[float, int]:
    """Scale (a float32 value) and zero point 0..255 of the range, widened so that zero is exactly representable."""
    return affine_parameters(low, high, 0, 255)


def sixteen_bit_scale(statistics: TensorStatistics) -> float:
    """Scale (a float32 value) for ±32767: of the largest magnitude, since nothing is gained by clipping so fine a grid.

    Source: 16-bit activations with 8-bit weights as LiteRT defines them, symmetric with zero point 0.
    """
    return symmetric_parameters(largest_magnitude(statistics), largest_integer(16))


def largest_integer(bits: int) -> int:
    """The end of the symmetric integers of that many bits: 127 for 8, 7 for 4."""
    return int(2 ** (bits - 1)) - 1


def largest_magnitude(statistics: TensorStatistics) -> float:
    """Largest absolute value seen."""
    return max(abs(statistics.minimum), abs(statistics.maximum))
