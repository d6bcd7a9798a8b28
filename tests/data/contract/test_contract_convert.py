from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pocketfit.data import arithmetic, geometry
from pocketfit.data.contract import (
    Classes,
    Contract,
    Crop,
    Exact,
    Kernel,
    Layout,
    Letterbox,
    Rounding,
    ShorterSide,
    from_preprocess,
    prepare,
    to_preprocess,
)
from pocketfit.errors import OptionError
from pocketfit.types import Color, PreprocessSpec

SPECS = (
    PreprocessSpec(),
    PreprocessSpec(resize=20, crop=(16, 18), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    PreprocessSpec(resize=(11, 12), color=Color.BGR, scale=1.0, mean=(103.939, 116.779, 123.68)),
    PreprocessSpec(resize=(20, 12), crop=(19, 11), scale=1 / 127.5, mean=(1.0,)),
    PreprocessSpec(color=Color.GRAY, mean=(0.1307,), std=(0.3081,)),
)


@pytest.mark.parametrize("spec", SPECS)
def test_there_and_back_nothing_is_lost(spec):
    assert to_preprocess(from_preprocess(spec)) == spec


def noise(height: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


# At none of these sizes Pillow 13 begins with the rows.
@pytest.mark.parametrize("size", [(33, 50), (50, 33), (21, 21), (24, 90), (39, 31)])
@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec.color is not Color.GRAY])
def test_the_contract_prepares_bit_for_bit_what_the_specification_does(spec, size):
    pixels = noise(*size, seed=1)
    expected = arithmetic(geometry(Image.fromarray(pixels), spec)[None], spec)
    assert np.array_equal(prepare(pixels, from_preprocess(spec)), expected)


def test_gray_is_rounded_to_a_pixel_value():
    spec = PreprocessSpec(color=Color.GRAY, scale=1.0)
    pixels = noise(9, 9, seed=2)
    difference = prepare(pixels, from_preprocess(spec)) - arithmetic(pixels[None], spec)
    # Half a step is what rounding takes away; the weights in 2^-16 add 255 * 2^-17 and float32 its own rounding.
    assert 0 < np.abs(difference).max() <= 0.503


def test_what_becomes_of_the_outputs_is_left_out():
    assert to_preprocess(Contract(output=Classes())) == PreprocessSpec()


@pytest.mark.parametrize(
    ("contract", "field"),
    [
        (Contract(resize=Letterbox((8, 8))), "resize"),
        (Contract(resize=ShorterSide(8, Rounding.FLOOR)), "resize"),
        (Contract(crop=Crop((8, 8), Rounding.HALF_EVEN)), "crop"),
        (Contract(kernel=Kernel.BICUBIC, layout=Layout.NHWC), "kernel, layout"),
        (replace(Contract(resize=Exact((8, 8))), antialias=False), "antialias"),
        (Contract(orientation=6), "orientation"),
    ],
)
def test_what_a_specification_cannot_say_is_named(contract, field):
    with pytest.raises(OptionError, match=f"cannot express the contract's {field}\\."):
        to_preprocess(contract)
