import math

import numpy as np
import pytest

from pocketfit.errors import DataError, VerificationFailed
from pocketfit.verify.parity import compare

EXPECTED = np.array([[3.0, 4.0], [0.0, 2.0]], dtype=np.float32)


def test_figures_by_hand() -> None:
    got = np.array([[3.0, 4.5], [1.0, 2.0]], dtype=np.float32)
    parity = compare(got, EXPECTED)
    assert parity.max_error == 1.0
    assert parity.mean_error == pytest.approx(1.5 / 4)
    # (3·3 + 4.5·4) / (5 · √29.25) and 4 / (2 · √5)
    assert parity.cosine == pytest.approx((27 / (5 * math.sqrt(29.25)) + 4 / (2 * math.sqrt(5))) / 2)
    # signal 9 + 16 + 4, difference 0.25 + 1
    assert parity.sqnr_db == pytest.approx(10 * math.log10(29 / 1.25))
    assert (parity.agreement, parity.samples) == (1.0, 2)


def test_identical_outputs() -> None:
    parity = compare(EXPECTED.copy(), EXPECTED)
    assert (parity.max_error, parity.mean_error, parity.cosine, parity.agreement) == (0, 0, 1, 1)
    assert parity.sqnr_db == math.inf


def test_identical_zeros_and_infinities_are_identical() -> None:
    values = np.array([[0.0, 0.0], [math.inf, -math.inf]])
    parity = compare(values, values)
    assert (parity.max_error, parity.cosine, parity.sqnr_db, parity.agreement) == (0, 1, math.inf, 1)


def test_zeros_instead_of_a_signal() -> None:
    parity = compare(np.zeros_like(EXPECTED), EXPECTED)
    assert (parity.max_error, parity.cosine) == (4, 0)
    assert parity.sqnr_db == pytest.approx(0)  # the difference is as strong as the signal


def test_a_signal_instead_of_zeros() -> None:
    parity = compare(EXPECTED, np.zeros_like(EXPECTED))
    assert (parity.cosine, parity.sqnr_db) == (0, -math.inf)


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_is_an_infinite_error(broken: float) -> None:
    got = EXPECTED.copy()
    got[0, 0] = broken
    parity = compare(got, EXPECTED)
    assert parity.max_error == parity.mean_error == math.inf
    assert parity.sqnr_db == -math.inf
    assert parity.cosine == 0.5  # the other sample is identical


def test_nan_never_agrees_even_with_nan() -> None:
    got = np.array([[math.nan, 1.0]])
    parity = compare(got, got)
    assert (parity.agreement, parity.max_error) == (0, math.inf)


def test_agreement_counts_samples_with_the_same_largest_output() -> None:
    got = np.array([[1.0, 2.0], [2.0, 1.0], [0.0, 5.0], [1.0, 0.0]])
    expected = np.array([[0.0, 9.0], [0.0, 9.0], [0.0, 9.0], [9.0, 0.0]])
    assert compare(got, expected).agreement == 0.75


def test_maps_are_compared_as_vectors_whatever_their_axes() -> None:
    expected = np.random.default_rng(0).normal(size=(3, 2, 4, 4)).astype(np.float32)
    parity = compare(expected.reshape(3, 1, 32), expected)
    assert (parity.max_error, parity.samples) == (0, 3)


def test_values_beyond_float32_do_not_overflow() -> None:
    expected = np.full((1, 2), 1e38, dtype=np.float32)
    assert compare(-expected, expected).max_error == pytest.approx(2e38, rel=1e-6)  # float32 rounds 1e38


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (4, 1)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(VerificationFailed, match=r"have shape .*those expected \(2, 2\)"):
        compare(np.zeros(shape), EXPECTED)


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(DataError, match=r"shape \(0, 2\)"):
        compare(np.zeros((0, 2)), np.zeros((0, 2)))
