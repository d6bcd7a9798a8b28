from __future__ import annotations

import numpy as np
import pytest

from pocketfit.data.contract import (
    Contract,
    Crop,
    Exact,
    Kernel,
    Layout,
    Matrix,
    PixelFormat,
    Pixels,
    Range,
    ShorterSide,
    Yuv,
    YuvFormat,
    from_buffer,
    prepare,
)
from pocketfit.data.contract.geometry import orient
from pocketfit.data.contract.resize import resize
from pocketfit.data.contract.yuv import yuv_to_rgb
from pocketfit.errors import DataError

RAW = {"scale": 1.0, "layout": Layout.NHWC}


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_the_steps_follow_each_other():
    pixels = noise(20, 31, 3)
    contract = Contract(resize=ShorterSide(10), kernel=Kernel.BICUBIC, crop=Crop((8, 8)), **RAW)
    expected = resize(orient(pixels, 6), (16, 10), Kernel.BICUBIC)[4:12, 1:9]
    assert np.array_equal(prepare(pixels, contract, orientation=6)[0], expected)


def test_the_contracts_own_orientation_comes_first():
    pixels = noise(4, 5, 3)
    assert np.array_equal(prepare(pixels, Contract(orientation=3, **RAW), orientation=6)[0], orient(pixels, 3))


def test_alpha_is_dropped_and_gray_repeated():
    rgba, gray = noise(4, 5, 4), noise(4, 5)
    assert np.array_equal(prepare(rgba, Contract(input=Pixels(PixelFormat.RGBA), **RAW))[0], rgba[..., :3])
    repeated = prepare(gray, Contract(input=Pixels(PixelFormat.GRAY), **RAW))[0]
    assert np.array_equal(repeated, np.stack([gray] * 3, axis=-1))


def test_a_camera_image_is_converted_before_it_is_turned():
    yuv = Yuv(YuvFormat.NV21, Matrix.BT709, Range.LIMITED)
    image = from_buffer(noise(5 * 7 + 2 * 3 * 4), 5, 7, yuv)
    expected = orient(yuv_to_rgb(image, Matrix.BT709, Range.LIMITED), 6)
    assert np.array_equal(prepare(image, Contract(input=yuv, **RAW), orientation=6)[0], expected)


@pytest.mark.parametrize(
    ("image", "contract", "message"),
    [
        (noise(4, 5), Contract(), r"rgb is uint8 of height x width x 3\. Decode"),
        (noise(4, 5, 4), Contract(), r"shape \(4, 5, 4\)"),
        (noise(4, 5, 3).astype(np.float32), Contract(), "is float32"),
        (noise(4, 5, 3), Contract(input=Pixels(PixelFormat.GRAY)), r"gray is uint8 of height x width\."),
        (noise(0, 5, 3), Contract(resize=Exact((4, 4))), r"shape \(0, 5, 3\)"),
        (noise(4, 5, 3), Contract(input=Yuv(YuvFormat.NV12)), "input is nv12, but a ndarray was handed over"),
        (from_buffer(noise(24), 4, 4, Yuv(YuvFormat.I420)), Contract(), "input is rgb, but a YuvImage"),
        (noise(4, 5, 3), Contract(crop=Crop((5, 5))), "smaller than the crop"),
    ],
)
def test_what_the_contract_does_not_mean_is_refused(image, contract, message):
    with pytest.raises(DataError, match=message):
        prepare(image, contract)
