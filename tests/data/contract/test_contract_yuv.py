from __future__ import annotations

import numpy as np
import pytest

from pocketfit.data.contract import Matrix, Plane, Range, Yuv, YuvFormat, YuvImage, from_buffer
from pocketfit.data.contract.yuv import coefficients, yuv_to_rgb
from pocketfit.errors import DataError

# Red's and blue's share of luma, as the recommendations give them.
SHARES = {Matrix.BT601: (0.299, 0.114), Matrix.BT709: (0.2126, 0.0722)}


def real_formula(y, u, v, matrix, range):
    red_share, blue_share = SHARES[matrix]
    green_share = 1 - red_share - blue_share
    if range is Range.LIMITED:
        luma, blue, red = (y - 16) / 219, (u - 128) / 224, (v - 128) / 224
    else:
        luma, blue, red = y / 255, (u - 128) / 255, (v - 128) / 255
    r = luma + 2 * (1 - red_share) * red
    b = luma + 2 * (1 - blue_share) * blue
    g = (luma - red_share * r - blue_share * b) / green_share
    return np.clip(np.stack([r, g, b], axis=-1) * 255, 0, 255)


def picture(y, u, v):
    """An image in which every Y has its own U and V, of shape (n, 1): blocks of 2×2 that repeat the pixel."""
    rows = len(y)
    luma = np.repeat(y, 4).astype(np.uint8)
    return YuvImage(2 * rows, 2, Plane(luma, 2), Plane(u.astype(np.uint8), 1), Plane(v.astype(np.uint8), 1))


@pytest.mark.parametrize("matrix", Matrix)
@pytest.mark.parametrize("range", Range)
def test_it_is_within_a_step_of_the_real_formula(matrix, range):
    # Every fifth value and both ends of every axis: 52³ colours.
    axis = np.arange(0, 256, 5)
    y, u, v = (values.ravel() for values in np.meshgrid(axis, axis, axis, indexing="ij"))
    ours = yuv_to_rgb(picture(y, u, v), matrix, range)[::2, 0]
    real = real_formula(y.astype(float), u.astype(float), v.astype(float), matrix, range)
    # Half a step for the rounding; constants in 2^-16 add at most (239 + 128 + 128) * 2^-17.
    assert np.abs(ours - real).max() <= 0.5 + 0.004


@pytest.mark.parametrize("matrix", Matrix)
@pytest.mark.parametrize("range", Range)
def test_the_constants_follow_from_the_recommendation(matrix, range):
    red, blue = SHARES[matrix]
    green = 1 - red - blue
    luma, chroma = (255 / 219, 255 / 224) if range is Range.LIMITED else (1.0, 1.0)
    c = coefficients(matrix, range)
    assert (c.offset, c.y) == (16 if range is Range.LIMITED else 0, round(65536 * luma))
    assert c.red_v == round(65536 * 2 * (1 - red) * chroma)
    assert c.green_v == round(65536 * 2 * (1 - red) * red / green * chroma)
    assert c.green_u == round(65536 * 2 * (1 - blue) * blue / green * chroma)
    assert c.blue_u == round(65536 * 2 * (1 - blue) * chroma)


def test_full_range_gray_is_luma():
    y = np.arange(256)
    rgb = yuv_to_rgb(picture(y, np.full(256, 128), np.full(256, 128)), Matrix.BT601, Range.FULL)[::2, 0]
    assert np.array_equal(rgb, np.repeat(y[:, None], 3, axis=1))


def test_limited_range_reaches_black_and_white():
    y = np.array([0, 16, 235, 255])
    rgb = yuv_to_rgb(picture(y, np.full(4, 128), np.full(4, 128)), Matrix.BT709, Range.LIMITED)[::2, 0, 0]
    assert rgb.tolist() == [0, 0, 255, 255]


def planes(height, width, seed=0):
    half = ((height + 1) // 2, (width + 1) // 2)
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 256, shape, dtype=np.uint8) for shape in ((height, width), half, half)]


def expected(y, u, v):
    image = YuvImage(*y.shape, Plane(y.ravel(), y.shape[1]), Plane(u.ravel(), u.shape[1]), Plane(v.ravel(), v.shape[1]))
    return yuv_to_rgb(image, Matrix.BT601, Range.FULL)


@pytest.mark.parametrize("size", [(4, 6), (5, 7), (4, 5), (5, 4), (1, 1), (2, 1)])
@pytest.mark.parametrize("format", YuvFormat)
def test_the_planes_are_found_in_a_tight_buffer(format, size):
    y, u, v = planes(*size)
    chroma = {
        YuvFormat.I420: [u.ravel(), v.ravel()],
        YuvFormat.NV12: [np.stack([u, v], axis=-1).ravel()],
        YuvFormat.NV21: [np.stack([v, u], axis=-1).ravel()],
    }[format]
    buffer = np.concatenate([y.ravel(), *chroma])
    found = yuv_to_rgb(from_buffer(buffer, *size, Yuv(format)), Matrix.BT601, Range.FULL)
    assert np.array_equal(found, expected(y, u, v))


@pytest.mark.parametrize("format", [YuvFormat.NV12, YuvFormat.NV21])
def test_rows_may_be_longer_than_the_image(format):
    y, u, v = planes(5, 7)
    pair = [u, v] if format is YuvFormat.NV12 else [v, u]
    luma = np.pad(y, ((0, 0), (0, 9)))
    chroma = np.pad(np.stack(pair, axis=-1).reshape(3, 8), ((0, 0), (0, 8)))
    buffer = np.concatenate([luma.ravel(), chroma.ravel()])
    found = yuv_to_rgb(from_buffer(buffer, 5, 7, Yuv(format), 16), Matrix.BT601, Range.FULL)
    assert np.array_equal(found, expected(y, u, v))


def test_android_ends_a_plane_with_its_last_sample():
    y, u, v = planes(4, 6)
    chroma = np.pad(np.stack([v, u], axis=-1).reshape(2, 6), ((0, 0), (0, 4))).ravel()
    last = 10 + 2 * 2 + 1
    image = YuvImage(
        4,
        6,
        Plane(np.pad(y, ((0, 0), (0, 2))).ravel()[:-2], 8),
        Plane(chroma[1 : 1 + last], 10, 2),
        Plane(chroma[:last], 10, 2),
    )
    assert np.array_equal(yuv_to_rgb(image, Matrix.BT601, Range.FULL), expected(y, u, v))


def test_chroma_is_not_interpolated():
    y, u, v = planes(4, 4)
    y[:] = 100
    rgb = expected(y, u, v)
    assert np.array_equal(rgb[::2, ::2].repeat(2, axis=0).repeat(2, axis=1), rgb)


@pytest.mark.parametrize("size", [(6, 6), (4, 8)])
def test_a_short_buffer_is_refused(size):
    with pytest.raises(DataError, match=r"plane is uint8 of shape .* need uint8 and at least .* Check the size"):
        yuv_to_rgb(from_buffer(np.zeros(36, np.uint8), *size, Yuv(YuvFormat.NV21)), Matrix.BT601, Range.FULL)


def test_another_dtype_is_refused():
    with pytest.raises(DataError, match="The Y plane is float32"):
        yuv_to_rgb(from_buffer(np.zeros(99, np.float32), 4, 4, Yuv(YuvFormat.I420)), Matrix.BT601, Range.FULL)
