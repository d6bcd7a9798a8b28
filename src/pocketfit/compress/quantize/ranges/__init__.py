"""From statistics to scales: one file for each way of choosing a range."""

from __future__ import annotations

from collections.abc import Mapping

from pocketfit.compress.quantize.ranges.kl import KullbackLeibler
from pocketfit.compress.quantize.ranges.method import RangeMethod, Ranges
from pocketfit.compress.quantize.ranges.min_max import MinMax
from pocketfit.compress.quantize.ranges.mse import MeanSquaredError, mse_affine, mse_symmetric
from pocketfit.compress.quantize.ranges.parameters import affine_from_range, sixteen_bit_scale
from pocketfit.compress.quantize.ranges.percentile import Percentile
from pocketfit.compress.quantize.ranges.weights import room_for_bias, weight_scales
from pocketfit.compress.quantize.readers import ReadThrough

__all__ = [
    "RangeMethod",
    "Ranges",
    "affine_from_range",
    "mse_affine",
    "mse_symmetric",
    "range_method",
    "room_for_bias",
    "sixteen_bit_scale",
    "weight_scales",
]

_METHODS: Mapping[Ranges, RangeMethod] = {
    Ranges.MIN_MAX: MinMax(),
    Ranges.PERCENTILE: Percentile(),
    Ranges.KL: KullbackLeibler(),
}


def range_method(ranges: Ranges, through: ReadThrough | None = None) -> RangeMethod:
    """The method of that name.

    Args:
        ranges: its name.
        through: the activation that alone reads the tensor; only the mean squared error asks for it.
    """
    return MeanSquaredError(through) if ranges == Ranges.MSE else _METHODS[ranges]
