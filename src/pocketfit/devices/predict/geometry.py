"""What a convolution asks for, from its shape alone."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

__all__ = ["Convolution", "convolution_amounts", "linear_amounts"]

MILLION = 1e6
# Winograd's algorithm is used from this many channels on; below, the transforms cost more than they save.
WINOGRAD_CHANNELS = 8
# Channels lie together by this many: where they do not come out even, runtimes take the plain algorithm.
TOGETHER = 4
# Inputs of colour images: too few channels to fill a vector register.
FEW_CHANNELS = 4
# Side of an output tile, and products a tile and pair of channels: F(6x6, 3x3) and F(4x4, 3x3).
WINOGRAD_TILES = ((6, 64), (4, 36))


@dataclass(frozen=True)
class Convolution:
    """A two-dimensional convolution as it is computed.

    Args:
        channels: of the input.
        filters: channels of the output.
        kernel: height and width.
        output: height and width of the output.
        stride: the larger of both directions.
        dilation: likewise.
        groups: of channels.
        traffic: numbers read and written, weights left out.
    """

    channels: int
    filters: int
    kernel: tuple[int, int]
    output: tuple[int, int]
    stride: int
    dilation: int
    groups: int
    traffic: int

    @property
    def weights(self) -> int:
        """Numbers in the kernel."""
        return self.channels // self.groups * self.filters * self.kernel[0] * self.kernel[1]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the plain algorithm."""
        return self.weights * self.output[0] * self.output[1]

    @property
    def depthwise(self) -> bool:
        """Whether each output channel reads one input channel."""
        return self.groups > 1 and self.groups == self.channels == self.filters

    @property
    def winograd(self) -> bool:
        """Whether runtimes compute it by Winograd's algorithm."""
        plain = self.kernel == (3, 3) and self.stride == 1 and self.dilation == 1 and self.groups == 1
        even = self.channels % TOGETHER == 0 and self.filters % TOGETHER == 0
        return plain and even and min(self.channels, self.filters) >= WINOGRAD_CHANNELS


def convolution_amounts(one: Convolution) -> dict[str, float]:
    """Units of work by kind of a convolution.

    Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016, section 4, for the tiles.
    """
    macs, traffic = one.macs / MILLION, one.traffic / MILLION
    if one.depthwise:
        return {"calls": 1, ("depthwise_3x3" if max(one.kernel) <= 3 else "depthwise"): macs}
    if one.output == one.kernel == (1, 1):
        return linear_amounts(1, one.weights)
    amounts = {"calls": 1, "convolution_weights": one.weights / MILLION}
    if one.winograd:
        products = min(_products(one.output, side, count) for side, count in WINOGRAD_TILES)
        grown = products / (one.output[0] * one.output[1])
        return amounts | {
            "winograd": products * one.channels * one.filters / MILLION,
            "winograd_traffic": grown * traffic,
        }
    return amounts | {_dense_kind(one): macs, "convolution_traffic": traffic}


def linear_amounts(rows: int, weights: int) -> dict[str, float]:
    """Units of work of a matrix product with constant weights.

    Args:
        rows: that are multiplied by the same weights.
        weights: numbers in the matrix.
    """
    if rows == 1:
        return {"calls": 1, "linear_weights": weights / MILLION}
    return {"calls": 1, "matrix_product": rows * weights / MILLION}


def _products(output: tuple[int, int], side: int, count: int) -> int:
    return ceil(output[0] / side) * ceil(output[1] / side) * count


def _dense_kind(one: Convolution) -> str:
    if one.groups > 1:
        return "grouped"
    if one.channels <= FEW_CHANNELS:
        return "first_convolution"
    if one.dilation > 1:
        return "dilated"
    return "pointwise" if max(one.kernel) == 1 else "convolution"
