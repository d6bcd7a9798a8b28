import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pocketfit.compress.quantize.statistics import BINS, TensorStatistics, merge, observe
from pocketfit.errors import DataError

# No subnormal numbers: a bin index is a value times a power of two, which is exact for all others.
FLOATS = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)
TENSORS = arrays.arrays(np.float32, st.integers(1, 40), elements=FLOATS)


def observed(values: np.ndarray) -> TensorStatistics:
    return observe("x", torch.from_numpy(values))


def edges(statistics: TensorStatistics) -> np.ndarray:
    return (statistics.first + np.arange(len(statistics.histogram) + 1)) * statistics.width


def assert_same(one: TensorStatistics, other: TensorStatistics) -> None:
    scalars = ("minimum", "maximum", "count", "width", "first", "channel_count")
    assert [getattr(one, name) for name in scalars] == [getattr(other, name) for name in scalars]
    np.testing.assert_array_equal(one.histogram, other.histogram)


@given(TENSORS)
def test_the_counts_are_those_of_numpy(values: np.ndarray) -> None:
    found = observed(values)
    expected, _ = np.histogram(values.astype(np.float64), edges(found))
    np.testing.assert_array_equal(found.histogram, expected)
    assert found.histogram.sum() == found.count == values.size
    assert len(found.histogram) <= BINS
    assert (found.minimum, found.maximum) == (values.min(), values.max())


@given(TENSORS)
def test_bins_have_a_power_of_two_as_width_and_centres_within_the_range(values: np.ndarray) -> None:
    found = observed(values)
    assert math.frexp(found.width)[0] == 0.5
    assert found.centers.min() >= found.minimum
    assert found.centers.max() <= found.maximum


@given(st.lists(TENSORS, min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_the_batches_does_not_matter(batches: list[np.ndarray], random: object) -> None:
    parts = [observed(batch) for batch in batches]
    expected = merge(parts)
    for order in itertools.permutations(parts):
        assert_same(merge(order), expected)


@given(st.lists(TENSORS, min_size=3, max_size=5))
def test_merging_is_associative_and_equals_seeing_all_values_at_once(batches: list[np.ndarray]) -> None:
    parts = [observed(batch) for batch in batches]
    from_the_left = merge([merge(parts[:2]), *parts[2:]])
    from_the_right = merge([parts[0], merge(parts[1:])])
    assert_same(from_the_left, from_the_right)
    assert_same(from_the_left, merge(parts))
    everything = observed(np.concatenate(batches))
    np.testing.assert_array_equal(from_the_left.histogram, everything.histogram)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([0.0, 0.0, 0.0], id="zero"),
        pytest.param([3.0, 3.0], id="constant"),
        pytest.param([-7.5, -7.5], id="constant and negative"),
        pytest.param([-3.0, -1.0, -2.0], id="negative"),
        pytest.param([-1e-30, 0.0, 1e-30], id="tiny"),
        pytest.param([1e-30, 1e-30], id="tiny constant"),
        pytest.param([1e-40, -1e-40], id="subnormal"),
        pytest.param([-3e38, 3e38], id="huge"),
        pytest.param([3e38, 3e38], id="huge constant"),
        pytest.param([1e-30, 3e38], id="tiny beside huge"),
        pytest.param([1.0, 1.0 + 2**-23], id="neighbours"),
    ],
)
def test_extreme_ranges_keep_every_value(values: list[float]) -> None:
    found = observe("x", torch.tensor(values))
    assert found.histogram.sum() == len(values)
    assert found.minimum <= found.centers.min() <= found.centers.max() <= found.maximum
    assert_same(merge([found, found]), observe("x", torch.tensor([*values, *values])))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_refused_with_the_name_of_the_tensor(bad: float) -> None:
    with pytest.raises(DataError, match="NaN or infinity in tensor 'conv2d_7'"):
        observe("conv2d_7", torch.tensor([1.0, bad, 2.0]))


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((6, 5), 1), ((2, 5, 3, 4), 1), ((2, 7, 5), 2), ((5,), None)],
    ids=["NC", "NCHW", "NLC", "a vector"],
)
def test_channel_means(shape: tuple[int, ...], axis: int | None) -> None:
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    others = tuple(other for other in range(values.ndim) if other != axis)
    # Rows are summed in float32: units in the last place of sums near 10.
    np.testing.assert_allclose(observed(values).channel_mean, values.astype(np.float64).mean(others), atol=1e-6)


def test_channel_means_of_several_batches() -> None:
    batches = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    found = merge(observed(batch) for batch in batches)
    np.testing.assert_allclose(found.channel_mean, batches.reshape(12, 5).mean(0), atol=1e-6)  # as above


def test_tensors_of_several_shapes_have_no_channel_means() -> None:
    found = merge([observed(np.ones((2, 3), np.float32)), observed(np.ones((2, 4), np.float32))])
    assert found.count == 14
    assert found.channel_mean.size == 0
