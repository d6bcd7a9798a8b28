from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketfit.errors import OptionError
from pocketfit.tiles import Axis, Blend, Grid, Ramp
from pocketfit.tiles.blend import axis_weights


@st.composite
def axes(draw: st.DrawFn) -> Axis:
    stride = draw(st.sampled_from([1, 2, 3, 8]))
    tile = stride * draw(st.integers(1, 12))
    overlap = draw(st.integers(0, tile - stride))
    return Axis(draw(st.integers(1, 300)), tile, overlap, stride)


@given(axes())
def test_tiles_cover_the_side_exactly(axis: Axis) -> None:
    covered = {pixel for start in axis.starts for pixel in range(start, start + axis.tile)}
    assert covered == set(range(axis.padded))
    assert axis.padded >= axis.size


@given(axes())
def test_neighbours_share_what_was_asked_for(axis: Axis) -> None:
    shared = [first + axis.tile - second for first, second in zip(axis.starts, axis.starts[1:], strict=False)]
    assert all(axis.overlap <= pixels < axis.tile for pixels in shared)


@given(axes())
def test_tiles_begin_at_the_stride_and_none_is_superfluous(axis: Axis) -> None:
    assert all(start % axis.stride == 0 for start in axis.starts)
    step = (axis.tile - axis.overlap) // axis.stride * axis.stride
    assert len(axis.starts) == 1 + -(-(axis.padded - axis.tile) // step)


@given(axes())
def test_no_more_is_put_behind_the_image_than_needed(axis: Axis) -> None:
    assert axis.padded == axis.tile or axis.padded - axis.size < axis.stride


@given(axes(), st.sampled_from([1, 2, 3, Fraction(1, 2), Fraction(3, 2)]), st.sampled_from(Ramp), st.data())
def test_the_weights_of_all_tiles_sum_to_one(axis: Axis, scale: Fraction, ramp: Ramp, data: st.DataObject) -> None:
    axis = Axis(axis.size, axis.tile * scale.denominator, axis.overlap, axis.stride * scale.denominator)
    margin = data.draw(st.integers(0, axis.overlap // 2 // scale.denominator)) * scale.denominator
    total = np.zeros(int(axis.padded * scale))
    for index, start in enumerate(axis.starts):
        weights = axis_weights(axis, index, scale, Blend(margin, ramp))
        assert weights.dtype == np.float32 and weights.min() >= 0
        place = int(start * scale)
        total[place : place + len(weights)] += weights
        inner = int(margin * scale)
        assert index == 0 or not weights[:inner].any()
        assert index == len(axis.starts) - 1 or inner == 0 or not weights[-inner:].any()
    # Differences of float32 numbers in 0..1, at most a few of them at one pixel.
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_half_the_overlap_as_margin_crops() -> None:
    axis = Axis(20, 12, 4)
    assert axis.starts == (0, 8)
    assert axis_weights(axis, 0, 1, Blend(2)).tolist() == [1] * 10 + [0] * 2
    assert axis_weights(axis, 1, 1, Blend(2)).tolist() == [0] * 2 + [1] * 10


def test_a_ramp_by_hand() -> None:
    weights = axis_weights(Axis(20, 12, 4), 1, 1, Blend())
    assert weights.tolist() == [0.125, 0.375, 0.625, 0.875] + [1] * 8


def test_a_grid_by_hand() -> None:
    grid = Grid((10, 5), (4, 5), overlap=1, scale=2)
    assert [(tile.top, tile.left) for tile in grid] == [(0, 0), (3, 0), (6, 0)]
    assert (len(grid), grid.output, grid.output_tile) == (3, (20, 10), (8, 10))


def test_part_of_an_output_pixel_counts_as_one() -> None:
    assert Grid((10, 9), (8, 8), scale=Fraction(1, 4), stride=4).output == (3, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((0, 5), (4, 4)), "at least 1"),
        (((9, 9), (4, 4), 4), r"cannot overlap by 4: 0..3 is allowed"),
        (((9, 9), (4, 4), -1), r"cannot overlap by -1"),
        (((9, 9), (6, 6), 0, 1, 4), r"6 pixels is no multiple of the stride 4. Take 8"),
        (((9, 9), (4, 4), 0, Fraction(1, 2)), r"stride a multiple of 2"),
        (((9, 9), (4, 4), 0, 0), r"must be positive"),
    ],
)
def test_what_cannot_be_tiled_is_refused(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Grid(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(("margin", "scale", "message"), [(3, 1, r"0..2"), (1, Fraction(1, 2), "multiple of 2")])
def test_a_margin_that_leaves_gaps_is_refused(margin: int, scale: Fraction, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Blend(margin).check(5, scale)
