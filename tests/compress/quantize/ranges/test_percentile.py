import numpy as np
import pytest
import torch

from pocketfit.compress.quantize.ranges.percentile import Percentile
from pocketfit.compress.quantize.statistics import observe


def ends(percentile: Percentile, values: torch.Tensor) -> tuple[float, float]:
    scale, zero_point = percentile.affine(observe("x", values))
    return (0 - zero_point) * scale, (255 - zero_point) * scale


@pytest.mark.parametrize("percent", [99.99, 99.0, 90.0])
def test_the_ends_are_the_quantiles(percent: float) -> None:
    values = torch.randn(1_000_000, generator=torch.Generator().manual_seed(0)) ** 3
    low, high = ends(Percentile(percent), values)
    expected = np.quantile(values.numpy(), [1 - percent / 100, percent / 100])
    # A bin of the histogram, and half a step by which rounding the zero point moves the ends.
    tolerance = observe("x", values).width + (high - low) / 255
    np.testing.assert_allclose([low, high], expected, atol=tolerance)
    largest = 127 * Percentile(percent).symmetric(observe("x", values))
    assert abs(largest - np.quantile(values.abs().numpy(), percent / 100)) <= tolerance


def test_each_tail_is_cut_on_its_own() -> None:
    values = torch.cat([torch.linspace(-1, 1, 99_999), torch.tensor([50.0])])
    low, high = ends(Percentile(), values)
    assert high < 1.1
    assert -1.1 < low < -0.99  # nothing lies far out on this side: it keeps its values, but for 0.01 percent


def test_a_tensor_with_fewer_values_than_the_tail_needs_loses_none() -> None:
    values = torch.cat([torch.linspace(-1, 1, 999), torch.tensor([50.0])])
    low, high = ends(Percentile(), values)
    # Within half a step of 51/255, from the rounding of the zero point.
    np.testing.assert_allclose([low, high], [-1, 50], atol=0.11)
    assert Percentile().symmetric(observe("x", values)) == np.float32(50 / 127)


def test_a_hundred_percent_is_everything() -> None:
    values = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
    assert Percentile(100.0).symmetric(observe("x", values)) == np.float32(float(values.abs().max()) / 127)


def test_the_larger_tail_decides_a_symmetric_range() -> None:
    # 0.02 percent at -50 are more than the share that may be cut.
    values = torch.cat([torch.linspace(-1, 1, 99_980), torch.full((20,), -50.0)])
    assert round(127 * Percentile().symmetric(observe("x", values)), 3) == 50
