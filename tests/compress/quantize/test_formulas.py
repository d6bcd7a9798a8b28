import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketfit.compress.quantize.formulas import affine_parameters, dequantize, quantize, symmetric_parameters

BOUNDS = st.floats(-1e6, 1e6, width=32)


def test_the_textbook_example() -> None:
    # 0.7 is 7 steps of 0.1 above the zero point 128.
    assert quantize(0.7, 0.1, 128, 0, 255) == 135
    assert math.isclose(dequantize(135, 0.1, 128), 0.7)


def test_more_worked_by_hand() -> None:
    # Steps of 0.5: -1 is 2 below 128, 0.3 is 0.6 of a step, 100 lies beyond 255.
    assert quantize(np.array([-1, 0, 0.3, 100, -100]), 0.5, 128, 0, 255).tolist() == [126, 128, 129, 255, 0]
    # Signed storage moves integers and zero point by 128 alike.
    assert quantize(np.array([-1, 0, 0.3, 100, -100]), 0.5, 0, -128, 127).tolist() == [-2, 0, 1, 127, -128]
    assert dequantize(np.array([126, 128, 129]), 0.5, 128).tolist() == [-1, 0, 0.5]


def test_four_bits_worked_by_hand() -> None:
    assert quantize(np.array([-3, -0.8, 0.2, 1.3, 1.8]), 0.25, 0, -7, 7).tolist() == [-7, -3, 1, 5, 7]


def test_halves_go_to_the_even_integer() -> None:
    halves = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5])
    assert quantize(halves, 1.0, 0, -127, 127).tolist() == [-2, -2, 0, 0, 2, 2, 4]
    # Rounded before the zero point is added, as kernels do it: an odd zero point changes nothing.
    assert quantize(halves, 1.0, 3, 0, 255).tolist() == [1, 1, 3, 3, 5, 5, 7]


def test_a_scale_per_channel() -> None:
    weight = np.array([[0.5, -1.0], [0.5, -1.0]], np.float32)
    scales = np.array([[0.5], [0.25]], np.float32)
    integers = quantize(weight, scales, 0, -127, 127)
    assert integers.tolist() == [[1, -2], [2, -4]]
    assert dequantize(integers, scales, 0).dtype == np.float32


@pytest.mark.parametrize(
    ("low", "high", "integers", "scale", "zero_point"),
    [
        (-1.0, 1.55, (0, 255), 0.01, 100),  # 2.55 over 255 steps; -1 is 100 of them
        (0.0, 25.5, (0, 255), 0.1, 0),
        (-25.5, 0.0, (0, 255), 0.1, 255),
        (-1.28, 1.27, (-128, 127), 0.01, 0),
        (2.0, 5.1, (0, 255), 0.02, 0),  # widened down to zero
        (-5.1, -2.0, (-128, 127), 0.02, 127),  # and up to zero
        (-0.5, 1.0, (0, 15), 0.1, 5),  # four bits
    ],
)
def test_ranges_worked_by_hand(
    low: float, high: float, integers: tuple[int, int], scale: float, zero_point: int
) -> None:
    found = affine_parameters(low, high, *integers)
    assert found == (np.float32(scale), zero_point)  # scales are float32 values


def test_symmetric_scales_worked_by_hand() -> None:
    assert symmetric_parameters(127.0, 127) == 1
    assert symmetric_parameters(3.5, 7) == 0.5
    assert symmetric_parameters(32767 / 4, 32767) == 0.25


def test_a_range_of_nothing_has_a_positive_scale() -> None:
    scale, zero_point = affine_parameters(0.0, 0.0)
    assert (scale > 0, zero_point) == (True, 0)
    assert symmetric_parameters(0.0, 127) > 0
    assert quantize(0.0, scale, zero_point, 0, 255) == 0


@given(BOUNDS, BOUNDS, st.floats(0, 1))
def test_a_value_in_the_range_comes_back_within_a_step(one: float, other: float, position: float) -> None:
    low, high = min(one, other, 0.0), max(one, other, 0.0)
    scale, zero_point = affine_parameters(low, high)
    value = low + position * (high - low)
    restored = dequantize(quantize(value, scale, zero_point, 0, 255), scale, zero_point)
    # Half a step of rounding, and half a step by which rounding the zero point moves the ends.
    assert abs(restored - value) <= scale * 1.0001
    assert quantize(0.0, scale, zero_point, 0, 255) == zero_point


@given(st.integers(0, 255), st.integers(0, 255), st.floats(2.0**-40, 2.0**40))
def test_integers_come_back_as_themselves(integer: int, zero_point: int, scale: float) -> None:
    assert quantize(dequantize(integer, scale, zero_point), scale, zero_point, 0, 255) == integer
