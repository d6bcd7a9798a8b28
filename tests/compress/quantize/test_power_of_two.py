import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pocketfit.compress.quantize.fake import fake_quantize_weight
from pocketfit.compress.quantize.power_of_two import LARGEST_LEVEL, power_of_two_weight
from pocketfit.types import LayerPlan

LEVELS = [0, 1, 2, 4, 8, 16, 32, 64]
# Beyond 1e-10 a channel counts as zero; no weight of a network is above 1e6.
NORMAL = st.floats(-1e6, 1e6, width=32).filter(lambda value: value == 0 or abs(value) > 1e-10)
WEIGHTS = arrays.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 12)), elements=NORMAL)


def steps(weight: np.ndarray, scales: tuple[float, ...], axis: int = 0) -> np.ndarray:
    shape = [1] * weight.ndim
    shape[axis] = -1
    return weight / np.float32(scales).reshape(shape)


def errors(weight: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Squared error per row."""
    return ((weight.astype(np.float64) - found) ** 2).sum(1)


def by_exponent(weight: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """The exponent rounded and clipped, as `LogQuant` of Miyashita et al. has it; below the smallest level is zero."""
    with np.errstate(divide="ignore"):
        exponents = np.rint(np.log2(np.abs(weight) / scales))
    return np.where(exponents < 0, 0, np.sign(weight) * 2.0 ** np.clip(exponents, 0, 6) * scales)


@given(WEIGHTS)
def test_every_value_is_a_level(weight: np.ndarray) -> None:
    found, scales = power_of_two_weight(weight, 0)
    assert found.dtype == np.float32
    assert found.shape == weight.shape
    assert all(scale == np.float32(scale) > 0 for scale in scales)
    assert np.isin(np.abs(steps(found, scales)), LEVELS).all()
    assert (found * weight >= 0).all()  # no sign is turned


@given(WEIGHTS)
def test_no_worse_than_rounding_the_exponent(weight: np.ndarray) -> None:
    found, _ = power_of_two_weight(weight, 0)
    largest = np.maximum(np.abs(weight).max(1, keepdims=True).astype(np.float64), 1e-30)
    power = 2.0 ** np.ceil(np.log2(largest))
    # What float32 leaves of the scale: its square is far below a thousandth of a thousandth of the row.
    slack = 1e-12 * (weight.astype(np.float64) ** 2).sum(1)
    assert (errors(weight, found) <= errors(weight, by_exponent(weight, largest / 64)) * (1 + 1e-5) + slack).all()
    in_range = np.log2(largest / power) > np.log2(0.75)
    naive = errors(weight, by_exponent(weight, power / 64))
    # A full-scale range of the next power of two is tried where it is the largest level of Zhou et al.
    assert (errors(weight, found)[in_range[:, 0]] <= (naive * (1 + 1e-5) + slack)[in_range[:, 0]]).all()


@given(WEIGHTS)
def test_each_value_has_the_level_nearest_to_it(weight: np.ndarray) -> None:
    found, scales = power_of_two_weight(weight, 0)
    levels = np.array([-level for level in LEVELS] + LEVELS, np.float64)
    wanted = np.array(scales)[:, None, None] * levels
    nearest = np.abs(wanted - weight[:, :, None]).min(2)
    # A value in the middle between two levels may go to either.
    np.testing.assert_allclose(np.abs(found.astype(np.float64) - weight), nearest, rtol=1e-6, atol=1e-30)


def test_worked_by_hand() -> None:
    # With 64 as the largest, the scale is 1: 5.9 goes to 4 (by its exponent it would go to 8), 6.1 to 8, 0.4 to 0.
    weight = np.float32([[64, -32, 16, 8, 4, 2, 1, 5.9, 6.1, 0.4, -0.6] + [64, 32, -16] * 50])
    found, scales = power_of_two_weight(weight, 0)
    assert scales == (1.0,)
    assert found[0, :11].tolist() == [64, -32, 16, 8, 4, 2, 1, 4, 8, 0, -1]


@pytest.mark.parametrize("axis", [0, 1, 3])
def test_axis_and_shape(axis: int) -> None:
    weight = np.random.default_rng(0).normal(size=(4, 3, 2, 5)).astype(np.float32)
    found, scales = power_of_two_weight(weight, axis)
    assert (found.shape, len(scales)) == (weight.shape, weight.shape[axis])
    assert np.isin(np.abs(steps(found, scales, axis)), LEVELS).all()


def test_one_row_is_one_scale_for_the_tensor() -> None:
    weight = np.random.default_rng(0).normal(size=(4, 9)).astype(np.float32)
    found, scales = power_of_two_weight(weight.reshape(1, 4, 9), 0)
    assert len(scales) == 1
    assert np.isin(np.abs(found / np.float32(scales[0])), LEVELS).all()


@pytest.mark.parametrize("value", [0.0, 1e-40, 1e-12, 0.3, -7.0, 1e30])
def test_constant_channels_are_safe(value: float) -> None:
    weight = np.full((2, 5), value, np.float32)
    weight[1] = 0
    found, scales = power_of_two_weight(weight, 0)
    assert np.isfinite(found).all()
    assert min(scales) > 0
    assert not found[1].any()
    # Smaller than 2^-60, a scale's square is no float32; such a channel says nothing.
    expected = 0 if abs(value) < 2.0**-61 else np.float32(value)
    assert (found[0] == expected).all()


def test_the_weight_deploys_as_ordinary_int8() -> None:
    weight = np.random.default_rng(0).standard_t(4, (8, 6, 3, 3)).astype(np.float32)
    found, scales = power_of_two_weight(weight, 0)
    plan = LayerPlan(op="conv2d", source="", weight="weight", axis=0, weight_scales=scales)
    np.testing.assert_array_equal(fake_quantize_weight(torch.from_numpy(found), plan).numpy(), found)
    assert np.abs(steps(found, scales)).max() <= LARGEST_LEVEL
    # It gains by being found again, too: weights on levels stay where they are.
    again, _ = power_of_two_weight(found, 0)
    np.testing.assert_array_equal(again, found)


def test_a_normal_weight_keeps_its_signal() -> None:
    weight = np.random.default_rng(0).normal(size=(64, 256)).astype(np.float32)
    found, _ = power_of_two_weight(weight, 0)
    signal = (weight.astype(np.float64) ** 2).sum()
    # Uniform between 3/4 and 3/2 of its level, a value has 21 times the power of its error: 13.2 dB.
    assert 10 * np.log10(signal / errors(weight, found).sum()) > 13.2
