import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pocketfit.compress.quantize.fake import fake_quantize_activation, fake_quantize_weight
from pocketfit.compress.quantize.ranges import affine_from_range, mse_affine, mse_symmetric, weight_scales
from pocketfit.compress.quantize.statistics import TensorStatistics, observe
from pocketfit.types import ActivationPlan, LayerPlan, Scheme

BOUNDS = st.floats(-1e6, 1e6, width=32)


def activation(scale: float, zero_point: int = 0) -> ActivationPlan:
    return ActivationPlan(-1.0, 1.0, scale, zero_point, symmetric_scale=scale)


def restored(values: object, plan: ActivationPlan, scheme: Scheme = Scheme.AFFINE) -> np.ndarray:
    return fake_quantize_activation(torch.tensor(values, dtype=torch.float32), plan, scheme).numpy()


def integers(values: object, plan: ActivationPlan) -> np.ndarray:
    return np.rint(restored(values, plan) / plan.scale).astype(int) + plan.zero_point


def affine_error(statistics: TensorStatistics, scale: float, zero_point: int) -> float:
    """Squared error over the histogram, written once more from the formula."""
    x = statistics.centers
    q = np.clip(np.round(x / scale) + zero_point, 0, 255)
    return float((statistics.histogram * (x - (q - zero_point) * scale) ** 2).sum())


def symmetric_error(statistics: TensorStatistics, scale: float) -> float:
    x = statistics.centers
    return float((statistics.histogram * (x - np.clip(np.round(x / scale), -127, 127) * scale) ** 2).sum())


TENSORS = {
    "normal": torch.randn(20_000, generator=torch.Generator().manual_seed(0)),
    "long tail": torch.randn(20_000, generator=torch.Generator().manual_seed(1)) ** 3,
    "after a ReLU": torch.randn(20_000, generator=torch.Generator().manual_seed(2)).relu(),
    "all negative": -torch.rand(20_000, generator=torch.Generator().manual_seed(3)) - 1,
    "constant": torch.full((100,), 0.3),
}


def test_the_textbook_example() -> None:
    # Q(x) = clip(round(x / S) + Z, 0, 255) with S = 0.1 and Z = 128: 0.7 is 7 steps above the zero point.
    plan = activation(0.1, 128)
    assert integers([0.7], plan) == [135]
    assert integers([0.0, 0.04, 0.06, -0.7], plan).tolist() == [128, 128, 129, 121]


def test_values_beyond_the_range_are_clipped() -> None:
    assert integers([99.0, -99.0], activation(0.1, 128)).tolist() == [255, 0]
    beyond = restored([99.0, -99.0], activation(0.1), Scheme.SYMMETRIC)
    np.testing.assert_allclose(beyond, [12.7, -12.7], rtol=1e-6)  # float32


def test_the_range_of_the_textbook_example() -> None:
    scale, zero_point = affine_from_range(-12.8, 12.7)
    assert (round(scale, 7), zero_point) == (0.1, 128)  # the scale is a float32


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


@pytest.mark.parametrize("values", TENSORS.values(), ids=TENSORS)
def test_the_mse_range_is_never_worse_than_the_range_seen(values: torch.Tensor) -> None:
    statistics = observe("x", values)
    low_high = affine_from_range(statistics.minimum, statistics.maximum)
    assert affine_error(statistics, *mse_affine(statistics)) <= affine_error(statistics, *low_high)
    largest = float(np.float32(values.abs().max() / 127))
    assert symmetric_error(statistics, mse_symmetric(statistics)) <= symmetric_error(statistics, largest)


def test_a_tensor_after_a_relu_has_zero_point_zero() -> None:
    assert mse_affine(observe("x", TENSORS["after a ReLU"]))[1] == 0


def test_a_negative_tensor_has_zero_point_255() -> None:
    assert mse_affine(observe("x", TENSORS["all negative"]))[1] == 255


def test_an_outlier_is_clipped() -> None:
    # A million values pay for a step of 24/255; one clipped value costs a few hundred squares, less than they gain.
    values = torch.randn(1_000_000, generator=torch.Generator().manual_seed(0))
    values[0] = 20.0
    statistics = observe("x", values)
    scale, zero_point = mse_affine(statistics)
    assert (255 - zero_point) * scale < 12
    assert (0 - zero_point) * scale < -3
    assert 127 * mse_symmetric(statistics) < 12


@pytest.mark.parametrize("value", [0.0, 1e-40, 1e-30, 3e38, -3e38])
def test_extreme_tensors_have_positive_finite_scales(value: float) -> None:
    statistics = observe("x", torch.full((8,), value))
    scale, zero_point = mse_affine(statistics)
    for found in (scale, mse_symmetric(statistics)):
        assert math.isfinite(found)
        assert np.float32(found) > 0
    assert np.isfinite(restored([value], activation(scale, zero_point))).all()


def layer(scales: tuple[float, ...], axis: int = 0) -> LayerPlan:
    return LayerPlan(op="conv2d", source="", weight="weight", axis=axis, weight_scales=scales)


@pytest.mark.parametrize("axis", [0, 1])
def test_weights_on_the_grid_are_kept_exactly(axis: int) -> None:
    rng = np.random.default_rng(0)
    steps = rng.integers(-127, 128, (4, 6, 3, 3))
    np.moveaxis(steps, axis, 0)[:, 0, 0, 0] = 127  # where fewer steps are used, a finer scale would be as exact
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    scales = (2.0 ** -rng.integers(3, 9, steps.shape[axis])).reshape(shape)
    weight = (steps * scales).astype(np.float32)
    found = weight_scales(weight, axis)
    assert found == tuple(scales.ravel())
    kept = fake_quantize_weight(torch.from_numpy(weight), layer(found, axis))
    np.testing.assert_array_equal(kept.numpy(), weight)


def test_each_channel_has_its_own_scale_and_never_a_worse_one_than_its_largest_weight_gives() -> None:
    sizes = np.float32([[1e-3], [1], [9], [2], [3]])
    weight = np.random.default_rng(0).standard_t(3, (5, 400)).astype(np.float32) * sizes
    scales = weight_scales(weight, 0)

    def error(scales: np.ndarray) -> np.ndarray:
        kept = np.clip(np.round(weight / scales), -127, 127) * scales
        return ((weight - kept).astype(np.float64) ** 2).sum(1)

    plain = np.abs(weight).max(1, keepdims=True) / 127
    # Candidates are compared in double; here they are float32, hence the last digits.
    assert (error(np.array(scales)[:, None]) <= error(plain) * (1 + 1e-5)).all()


def test_a_channel_of_zeros_stays_zero() -> None:
    weight = np.ones((2, 3), np.float32)
    weight[1] = 0
    scales = weight_scales(weight, 0)
    assert min(scales) > 0
    np.testing.assert_array_equal(fake_quantize_weight(torch.from_numpy(weight), layer(scales))[1], np.zeros(3))
