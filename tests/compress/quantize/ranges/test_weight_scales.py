import numpy as np
import pytest
import torch

from pocketfit.compress.quantize.fake import fake_quantize_weight
from pocketfit.compress.quantize.ranges import room_for_bias, weight_scales
from pocketfit.types import LayerPlan

BITS = [(8, 127), (4, 7)]


def layer(scales: tuple[float, ...], axis: int = 0, bits: int = 8) -> LayerPlan:
    return LayerPlan(op="conv2d", source="", weight="weight", axis=axis, weight_scales=scales, weight_bits=bits)


def spread_weight() -> np.ndarray:
    """Channels of very different size, with tails."""
    sizes = np.float32([[1e-3], [1], [9], [2], [3]])
    return np.random.default_rng(0).standard_t(3, (5, 400)).astype(np.float32) * sizes


def error(weight: np.ndarray, scales: np.ndarray, end: int) -> np.ndarray:
    """Squared error per channel, written once more from the formula."""
    kept = np.clip(np.round(weight / scales), -end, end) * scales
    return ((weight - kept).astype(np.float64) ** 2).sum(1)


@pytest.mark.parametrize(("bits", "end"), BITS)
@pytest.mark.parametrize("axis", [0, 1])
def test_weights_on_the_grid_are_kept_exactly(axis: int, bits: int, end: int) -> None:
    rng = np.random.default_rng(0)
    steps = rng.integers(-end, end + 1, (4, 6, 3, 3))
    np.moveaxis(steps, axis, 0)[:, 0, 0, 0] = end  # where fewer steps are used, a finer scale would be as exact
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    scales = (2.0 ** -rng.integers(3, 9, steps.shape[axis])).reshape(shape)
    weight = (steps * scales).astype(np.float32)
    found = weight_scales(weight, axis, bits=bits)
    assert found == tuple(scales.ravel())
    kept = fake_quantize_weight(torch.from_numpy(weight), layer(found, axis, bits))
    np.testing.assert_array_equal(kept.numpy(), weight)


@pytest.mark.parametrize(("bits", "end"), BITS)
def test_never_worse_than_the_largest_weight_gives(bits: int, end: int) -> None:
    weight = spread_weight()
    plain = np.abs(weight).max(1, keepdims=True) / end
    found = np.array(weight_scales(weight, 0, bits=bits))[:, None]
    # Candidates are compared in double; here they are float32, hence the last digits.
    assert (error(weight, found, end) <= error(weight, plain, end) * (1 + 1e-5)).all()


def test_four_bits_come_close_to_the_best_scale() -> None:
    weight = spread_weight()
    found = error(weight, np.array(weight_scales(weight, 0, bits=4))[:, None], 7)
    largest = np.abs(weight).max(1, keepdims=True)
    best = np.min([error(weight, largest * share / 7, 7) for share in np.linspace(0.2, 1, 801)], axis=0)
    # Steps of two percent instead of a tenth; the error is flat around its minimum.
    assert (found <= best * 1.01).all()


@pytest.mark.parametrize(("bits", "end"), BITS)
def test_one_scale_for_the_tensor(bits: int, end: int) -> None:
    weight = spread_weight()
    scales = weight_scales(weight, 0, bits=bits, per_tensor=True)
    assert len(scales) == 5
    assert len(set(scales)) == 1
    whole = weight.reshape(1, -1)
    assert scales[0] == weight_scales(whole, 0, bits=bits)[0]
    assert error(whole, np.array(scales[:1]), end) <= error(whole, np.abs(whole).max() / np.float32(end), end)


def test_scales_do_not_depend_on_the_other_channels() -> None:
    # More channels than are worked on at a time.
    weight = np.random.default_rng(0).normal(size=(300, 500)).astype(np.float32)
    scales = weight_scales(weight, 0)
    assert [weight_scales(weight[i : i + 1], 0)[0] for i in (0, 150, 299)] == [scales[i] for i in (0, 150, 299)]


@pytest.mark.parametrize("per_tensor", [False, True])
@pytest.mark.parametrize("bits", [8, 4])
def test_a_channel_of_zeros_stays_zero(bits: int, per_tensor: bool) -> None:
    weight = np.ones((2, 3), np.float32)
    weight[1] = 0
    scales = weight_scales(weight, 0, bits=bits, per_tensor=per_tensor)
    assert min(scales) > 0
    kept = fake_quantize_weight(torch.from_numpy(weight), layer(scales, bits=bits)).numpy()
    np.testing.assert_allclose(kept, weight, rtol=1e-6)  # 1/127 and 1/7 are no float32
    assert not kept[1].any()


def test_a_scale_is_raised_where_the_bias_would_not_fit() -> None:
    scales = room_for_bias((1e-12, 0.5), np.float32([1.0, 1.0]), input_scale=0.01)
    assert scales[1] == 0.5
    # The bias in units of the product of the scales is half of what INT32 holds.
    assert round(1.0 / (scales[0] * 0.01)) == pytest.approx(2**30, rel=1e-6)  # float32
