import numpy as np
import torch

from pocketfit.compress.quantize.ranges import affine_from_range, mse_affine, mse_symmetric
from pocketfit.compress.quantize.ranges.mse import MeanSquaredError
from pocketfit.compress.quantize.statistics import TensorStatistics, observe


def affine_error(statistics: TensorStatistics, scale: float, zero_point: int) -> float:
    """Squared error over the histogram, written once more from the formula."""
    x = statistics.centers
    q = np.clip(np.round(x / scale) + zero_point, 0, 255)
    return float((statistics.histogram * (x - (q - zero_point) * scale) ** 2).sum())


def symmetric_error(statistics: TensorStatistics, scale: float, end: int) -> float:
    x = statistics.centers
    return float((statistics.histogram * (x - np.clip(np.round(x / scale), -end, end) * scale) ** 2).sum())


def test_never_worse_than_the_range_seen(values: torch.Tensor, statistics: TensorStatistics) -> None:
    low_high = affine_from_range(statistics.minimum, statistics.maximum)
    assert affine_error(statistics, *mse_affine(statistics)) <= affine_error(statistics, *low_high)
    largest = float(values.abs().max())
    for bits, end in ((8, 127), (4, 7)):
        plain = max(float(np.float32(largest / end)), 2.0**-60)
        found = symmetric_error(statistics, mse_symmetric(statistics, bits), end)
        assert found <= symmetric_error(statistics, plain, end)


def test_an_outlier_is_clipped() -> None:
    # A million values pay for a step of 24/255; one clipped value costs a few hundred squares, less than they gain.
    values = torch.randn(1_000_000, generator=torch.Generator().manual_seed(0))
    values[0] = 20.0
    statistics = observe("x", values)
    scale, zero_point = mse_affine(statistics)
    assert (255 - zero_point) * scale < 12
    assert (0 - zero_point) * scale < -3
    assert 127 * mse_symmetric(statistics) < 12


def test_fewer_bits_are_clipped_further() -> None:
    # The best range of a normal distribution is about 4 deviations with 8 bits and 2.6 with 4 (Banner et al. 2019).
    statistics = observe("x", torch.randn(1_000_000, generator=torch.Generator().manual_seed(0)))
    assert 3.6 < 127 * mse_symmetric(statistics) < 4.4
    assert 2.2 < 7 * mse_symmetric(statistics, 4) < 2.9


def test_what_the_reader_ignores_takes_no_range() -> None:
    """A hard-swish is zero below -3: whatever lies there may be clipped, and the rest has finer steps."""
    statistics = observe("x", torch.randn(100_000, generator=torch.Generator().manual_seed(0)) * 8)

    def hard_swish(values: np.ndarray) -> np.ndarray:
        return values * np.clip(values + 3, 0, 6) / 6

    method = MeanSquaredError(hard_swish)
    scale, zero_point = method.affine(statistics)
    plain, _ = mse_affine(statistics)
    assert scale < 0.75 * plain
    assert -8 < (0 - zero_point) * scale <= -2.9
    x = statistics.centers
    restored = (np.clip(np.round(x / scale) + zero_point, 0, 255) - zero_point) * scale
    behind = float((statistics.histogram * (hard_swish(x) - hard_swish(restored)) ** 2).sum())
    assert behind < affine_error(statistics, *mse_affine(statistics))
