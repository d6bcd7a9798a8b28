"""What is remembered of a tensor during calibration: minimum, maximum, histogram, per-channel mean.

The histogram's bin width is always a power of two and its bins are anchored at zero, so that widening it merges
whole bins and never has to spread a count over two of them: the result does not depend on the order of the batches.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from pocketfit.errors import DataError

__all__ = ["BINS", "TensorStatistics", "channel_sum", "merge", "observe"]

BINS = 2048

# No bin is narrower, so that its inverse is a float32: tensors without larger values count as zero.
_NARROWEST = 2.0**-120


@dataclass(frozen=True)
class TensorStatistics:
    """Statistics of one float tensor over all calibration samples.

    Args:
        minimum: smallest value.
        maximum: largest value.
        count: number of values.
        width: bin width, a power of two.
        first: index of the first bin; bin `i` of `histogram` covers `[(first + i) * width, (first + i + 1) * width)`.
        histogram: int64 counts, at most `BINS` long.
        channel_sum: float64 sum per channel, for the mean; empty where tensors of several shapes were merged.
        channel_count: number of values per channel.
    """

    minimum: float
    maximum: float
    count: int
    width: float
    first: int
    histogram: np.ndarray
    channel_sum: np.ndarray
    channel_count: int

    @property
    def channel_mean(self) -> np.ndarray:
        """Mean per channel, float64."""
        mean: np.ndarray = self.channel_sum / max(self.channel_count, 1)
        return mean

    @property
    def centers(self) -> np.ndarray:
        """Bin centres, clipped to the range really seen, float64."""
        centers = (self.first + np.arange(len(self.histogram)) + 0.5) * self.width
        clipped: np.ndarray = np.clip(centers, self.minimum, self.maximum)
        return clipped


def observe(name: str, values: torch.Tensor) -> TensorStatistics:
    """Statistics of one batch.

    Args:
        name: of the tensor, for the error message.
        values: float tensor of any shape; channels are axis 1 of NC and NCHW tensors, the last axis of
            others; a vector is one channel.

    Raises:
        DataError: the tensor holds NaN or infinity.
    """
    values = values.detach().float()
    low, high = (float(bound) for bound in torch.aminmax(values))
    if not (math.isfinite(low) and math.isfinite(high)):
        raise DataError(
            f"calibration met NaN or infinity in tensor '{name}'. Finite values are needed: check the weights, the "
            "input scaling and the calibration samples."
        )
    width, first, bins = _grid(low, high)
    # Exact in float32: multiplying by a power of two does not round, and `_grid` keeps the indices small.
    index = (values.flatten() * (1 / width)).floor_().to(torch.int32).sub_(first).clamp_(0, bins - 1)
    histogram = torch.bincount(index, minlength=bins).numpy()
    values = values.reshape(-1, 1) if values.ndim < 2 else values
    sums = channel_sum(values, 1 if values.ndim in (2, 4) else -1)
    return TensorStatistics(
        minimum=low,
        maximum=high,
        count=values.numel(),
        width=width,
        first=first,
        histogram=histogram,
        channel_sum=sums,
        channel_count=values.numel() // len(sums),
    )


def channel_sum(values: torch.Tensor, axis: int) -> np.ndarray:
    """Sum over everything but `axis`, float64: rows in float32, which is fast, and the sum of the rows in double."""
    rows = values.flatten(2).sum(2) if values.ndim == 4 and axis == 1 else values.movedim(axis, -1).flatten(0, -2)
    total: np.ndarray = rows.double().reshape(-1, values.shape[axis]).sum(0).numpy()
    return total


def _grid(low: float, high: float) -> tuple[float, int, int]:
    """Finest power-of-two bin width that covers [low, high] in `BINS` bins, with the first index and their number."""
    # Indices stay below 2^23, which float32 and int32 hold exactly, even where all values are alike.
    span = max((high - low) / BINS, max(abs(low), abs(high)) * 2.0**-22, _NARROWEST)
    # Anchored bins can cut off part of a bin at either end, hence the loop: it runs once or twice.
    width = 2.0 ** math.floor(math.log2(span))
    while math.floor(high / width) - math.floor(low / width) + 1 > BINS:
        width *= 2
    first = math.floor(low / width)
    return width, first, math.floor(high / width) - first + 1


def merge(parts: Iterable[TensorStatistics]) -> TensorStatistics:
    """Statistics of all values of `parts` together; the order does not matter."""
    parts = list(parts)
    if len(parts) == 1:
        return parts[0]
    low = min(part.minimum for part in parts)
    high = max(part.maximum for part in parts)
    width, first, bins = _grid(low, high)
    width = max(width, *(part.width for part in parts))
    first = math.floor(low / width)
    bins = math.floor(high / width) - first + 1
    histogram = np.zeros(bins, np.int64)
    for part in parts:
        # Indices are below 2^23: beyond that any ratio gives the same bin, and larger ones overflow.
        ratio = int(min(width / part.width, 2.0**40))
        index = (part.first + np.arange(len(part.histogram))) // ratio - first
        # Counts stay far below 2^53, where adding them as doubles is exact.
        histogram += np.bincount(np.clip(index, 0, bins - 1), part.histogram, bins).astype(np.int64)
    same_channels = len({part.channel_sum.shape for part in parts}) == 1
    return TensorStatistics(
        minimum=low,
        maximum=high,
        count=sum(part.count for part in parts),
        width=width,
        first=first,
        histogram=histogram,
        channel_sum=np.sum([part.channel_sum for part in parts], axis=0) if same_channels else np.zeros(0),
        channel_count=sum(part.channel_count for part in parts) if same_channels else 0,
    )
