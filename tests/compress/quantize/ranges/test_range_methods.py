import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pocketfit.compress.quantize.fake import fake_quantize_activation
from pocketfit.compress.quantize.ranges import Ranges, affine_from_range, range_method, sixteen_bit_scale
from pocketfit.compress.quantize.statistics import TensorStatistics, observe
from pocketfit.types import ActivationPlan, Scheme

BOUNDS = st.floats(-1e6, 1e6, width=32)


def restored(values: object, plan: ActivationPlan, scheme: Scheme = Scheme.AFFINE) -> np.ndarray:
    return fake_quantize_activation(torch.tensor(values, dtype=torch.float32), plan, scheme).numpy()


def activation(scale: float, zero_point: int = 0, bits: int = 8) -> ActivationPlan:
    return ActivationPlan(-1.0, 1.0, scale, zero_point, symmetric_scale=scale, bits=bits)


@pytest.mark.parametrize("ranges", Ranges)
def test_every_method_gives_scales_that_can_be_stored(ranges: Ranges, statistics: TensorStatistics) -> None:
    scale, zero_point = range_method(ranges).affine(statistics)
    assert 0 <= zero_point <= 255
    assert isinstance(zero_point, int)
    for found in (scale, range_method(ranges).symmetric(statistics), range_method(ranges).symmetric(statistics, 4)):
        assert math.isfinite(found)
        assert found == np.float32(found) > 0


@pytest.mark.parametrize("ranges", Ranges)
def test_no_method_goes_beyond_what_was_seen(ranges: Ranges, statistics: TensorStatistics) -> None:
    seen_scale, _ = affine_from_range(statistics.minimum, statistics.maximum)
    largest = max(abs(statistics.minimum), abs(statistics.maximum))
    assert range_method(ranges).affine(statistics)[0] <= seen_scale
    assert range_method(ranges).symmetric(statistics) <= max(np.float32(largest / 127), 2.0**-60)


@pytest.mark.parametrize("ranges", Ranges)
def test_one_sided_tensors_use_all_integers(ranges: Ranges) -> None:
    values = torch.rand(20_000, generator=torch.Generator().manual_seed(0))
    assert range_method(ranges).affine(observe("x", values))[1] == 0
    assert range_method(ranges).affine(observe("x", -values))[1] == 255


@pytest.mark.parametrize("ranges", Ranges)
def test_fewer_bits_have_wider_steps(ranges: Ranges) -> None:
    statistics = observe("x", torch.randn(20_000, generator=torch.Generator().manual_seed(0)))
    assert range_method(ranges).symmetric(statistics, 4) > range_method(ranges).symmetric(statistics, 8)


def test_min_max_keeps_everything() -> None:
    statistics = observe("x", torch.tensor([-12.8, 3.0, 12.7]))
    assert range_method(Ranges.MIN_MAX).affine(statistics) == (np.float32(0.1), 128)
    assert range_method(Ranges.MIN_MAX).symmetric(statistics) == np.float32(np.float32(12.8) / 127)
    assert range_method(Ranges.MIN_MAX).symmetric(statistics, 4) == np.float32(np.float32(12.8) / 7)


def test_sixteen_bits_hold_the_largest_value_exactly() -> None:
    statistics = observe("x", torch.tensor([-3.2767, 1.0]))
    scale = sixteen_bit_scale(statistics)
    assert round(scale, 9) == 0.0001
    kept = restored([-3.2767, 1.0, 0.0, 99.0], activation(scale, bits=16))
    # Half a step is 5e-5; the ends lie on the grid.
    np.testing.assert_allclose(kept, [-3.2767, 1.0, 0.0, 3.2767], atol=5.1e-5)
    assert kept[2] == 0


def test_sixteen_bits_of_nothing_are_a_positive_scale() -> None:
    assert sixteen_bit_scale(observe("x", torch.zeros(3))) > 0


def test_values_beyond_the_range_are_clipped() -> None:
    np.testing.assert_allclose(restored([99.0, -99.0], activation(0.1, 128)), [12.7, -12.8], rtol=1e-6)  # float32
    beyond = restored([99.0, -99.0], activation(0.1), Scheme.SYMMETRIC)
    np.testing.assert_allclose(beyond, [12.7, -12.7], rtol=1e-6)


@given(BOUNDS, BOUNDS)
def test_zero_is_exact_and_the_range_is_covered(one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    scale, zero_point = affine_from_range(low, high)
    assert scale == np.float32(scale) > 0
    assert 0 <= zero_point <= 255
    assert restored([0.0], activation(scale, zero_point)) == [0.0]
    # The zero point is rounded to a whole number, which moves the range by up to half a step; the rest is float32.
    step = scale * 0.5001 + 1e-6 * max(abs(low), abs(high))
    assert (0 - zero_point) * scale <= min(low, 0) + step
    assert (255 - zero_point) * scale >= max(high, 0) - step


@pytest.mark.parametrize("value", [0.0, 1e-40, 1e-30, 3e38, -3e38])
@pytest.mark.parametrize("ranges", Ranges)
def test_extreme_tensors_come_back_finite(ranges: Ranges, value: float) -> None:
    statistics = observe("x", torch.full((8,), value))
    scale, zero_point = range_method(ranges).affine(statistics)
    assert np.isfinite(restored([value], activation(scale, zero_point))).all()
