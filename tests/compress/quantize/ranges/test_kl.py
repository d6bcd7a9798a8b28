import numpy as np
import torch

from pocketfit.compress.quantize.ranges.kl import KullbackLeibler
from pocketfit.compress.quantize.statistics import TensorStatistics, observe


def divergence(statistics: TensorStatistics, bins: int) -> float:
    """Of a one-sided histogram clipped after that many bins, in loops, as the slides have it; no bin may be empty."""
    counts = statistics.histogram.astype(float)
    counts[0] = counts[1]
    p, q = counts[:bins].copy(), np.zeros(bins)
    p[-1] += counts[bins:].sum()
    for level in range(128):
        members = [i for i in range(bins) if i * 128 // bins == level]
        q[members] = counts[members].mean()
    p, q = p / p.sum(), q / q.sum()
    return sum(a * np.log(a / b) for a, b in zip(p, q, strict=True))


def test_the_threshold_has_the_smallest_divergence() -> None:
    # An exponential distribution up to 3.9, where with so many values no bin is empty.
    values = -torch.rand(1_000_000, generator=torch.Generator().manual_seed(0)).log()
    statistics = observe("x", values[values < 3.9])
    assert (statistics.histogram > 0).all()
    found = round(127 * KullbackLeibler().symmetric(statistics) / statistics.width)
    bins = len(statistics.histogram)
    smallest = min(divergence(statistics, kept) for kept in range(bins, 127, -8))
    assert divergence(statistics, min(found, bins)) <= smallest * (1 + 1e-9)  # sums in another order


def test_an_outlier_is_clipped() -> None:
    values = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    values[0] = 20.0
    statistics = observe("x", values)
    assert 127 * KullbackLeibler().symmetric(statistics) < 12
    scale, zero_point = KullbackLeibler().affine(statistics)
    assert (255 - zero_point) * scale < 12
    assert (0 - zero_point) * scale < -2


def test_zeros_behind_a_relu_do_not_decide() -> None:
    values = torch.randn(200_000, generator=torch.Generator().manual_seed(0)).abs()
    mostly_zero = torch.cat([values, torch.zeros(2_000_000)])
    method = KullbackLeibler()
    assert method.symmetric(observe("x", mostly_zero)) == method.symmetric(observe("x", values))


def test_both_sides_count_by_magnitude() -> None:
    values = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    method = KullbackLeibler()
    assert method.symmetric(observe("x", values)) == method.symmetric(observe("x", -values))


def test_a_tensor_far_from_zero_keeps_its_values() -> None:
    values = 1000 + torch.rand(20_000, generator=torch.Generator().manual_seed(0))
    # Magnitudes fill the last 2 of 2048 bins; anything below the larger of them would clip all values.
    assert 127 * KullbackLeibler().symmetric(observe("x", values)) > 999
