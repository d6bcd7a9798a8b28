from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pocketfit.contract import Color, Contract, Dtype, Layout, Quantization
from pocketfit.data.contract.arithmetic import arrange, in_color, luma, table

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_gray_is_pillows():
    pixels = noise(64, 64)
    assert np.array_equal(luma(pixels), np.asarray(Image.fromarray(pixels).convert("L")))


def test_gray_of_gray_is_itself():
    values = np.arange(256, dtype=np.uint8)
    assert np.array_equal(luma(np.stack([values] * 3, axis=-1)), values)


def test_colours():
    pixels = noise(2, 3)
    assert np.array_equal(in_color(pixels, Color.BGR)[..., 0], pixels[..., 2])
    assert in_color(pixels, Color.GRAY).shape == (2, 3, 1)


@pytest.mark.parametrize(
    "contract",
    [
        Contract(),
        Contract(**IMAGENET),
        Contract(scale=1 / 127.5, mean=(1.0,)),
        Contract(color=Color.BGR, scale=1.0, mean=(103.939, 116.779, 123.68)),
    ],
)
def test_the_table_has_the_bits_of_the_arithmetic(contract):
    pixels = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)[None]
    scale, mean, std = (np.float32(values) for values in (contract.scale, contract.mean, contract.std))
    expected = (pixels.astype(np.float32) * scale - mean) / std
    assert np.array_equal(arrange(pixels, contract), expected.transpose(0, 3, 1, 2))


def test_the_table_by_hand():
    # 255 * 0.5 - 10 over 4.
    assert table(Contract(scale=0.5, mean=(10.0,), std=(4.0,)))[:, 255].tolist() == [29.375] * 3


@pytest.mark.parametrize(
    ("dtype", "zero_point", "values"),
    [
        # Pixels 0 to 6 halved are 0, .5, 1, 1.5, 2, 2.5, 3: halves go to the even integer.
        (Dtype.UINT8, 0, [0, 0, 1, 2, 2, 2, 3]),
        (Dtype.UINT8, 250, [250, 250, 251, 252, 252, 252, 253]),
        (Dtype.INT8, -128, [-128, -128, -127, -126, -126, -126, -125]),
    ],
)
def test_halves_become_even(dtype, zero_point, values):
    found = table(Contract(scale=1.0, dtype=dtype, quantization=Quantization(2.0, zero_point)))
    assert (found.dtype.name, found[0, :7].tolist()) == (dtype.value, values)


def test_integers_are_clipped():
    found = table(Contract(scale=1.0, mean=(128.0,), dtype=Dtype.INT8, quantization=Quantization(0.5)))
    assert (found[0, 0], found[0, 64], found[0, 65], found[0, 191], found[0, 255]) == (-128, -128, -126, 126, 127)


def test_raw_pixels_pass_as_uint8():
    contract = Contract(scale=1.0, dtype=Dtype.UINT8, quantization=Quantization(1.0), layout=Layout.NHWC)
    pixels = noise(4, 5)
    assert np.array_equal(arrange(pixels[None], contract)[0], pixels)


def test_layouts_hold_the_same_numbers():
    pixels = noise(4, 5)
    planar, interleaved = (arrange(pixels[None], Contract(layout=layout, **IMAGENET)) for layout in Layout)
    assert (planar.shape, interleaved.shape) == ((1, 3, 4, 5), (1, 4, 5, 3))
    assert planar.flags.c_contiguous
    assert interleaved.flags.c_contiguous
    assert np.array_equal(planar.transpose(0, 2, 3, 1), interleaved)
