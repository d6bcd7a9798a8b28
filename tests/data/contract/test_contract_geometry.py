from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image, ImageOps

from pocketfit.data.contract import Align, Contract, Crop, Exact, Letterbox, Rounding, ShorterSide, placement
from pocketfit.data.contract.geometry import divide, orient, place
from pocketfit.errors import DataError


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_what_pillow_makes_of_exif(tmp_path, orientation):
    pixels = noise(4, 5)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(orient(pixels, orientation), expected)


@pytest.mark.parametrize("orientation", [0, 9, -1])
def test_another_orientation_is_refused(orientation):
    with pytest.raises(DataError, match="EXIF knows 1 to 8"):
        orient(noise(2, 2), orientation)


@pytest.mark.parametrize("numerator", range(0, 40))
@pytest.mark.parametrize("denominator", [1, 2, 3, 4, 7, 10])
def test_quotients_are_rounded_as_python_rounds_fractions(numerator, denominator):
    assert divide(numerator, denominator, Rounding.FLOOR) == numerator // denominator
    assert divide(numerator, denominator, Rounding.HALF_EVEN) == round(Fraction(numerator, denominator))


@pytest.mark.parametrize(
    ("image", "resize", "resized"),
    [
        ((30, 40), ShorterSide(15), (15, 20)),
        ((40, 30), ShorterSide(15), (20, 15)),
        ((30, 30), ShorterSide(60), (60, 60)),
        # 16 * 50 / 33 = 24.2; 3 * 7 / 6 = 3.5 and 5 * 5 / 10 = 2.5, to the even one or down.
        ((33, 50), ShorterSide(16), (16, 24)),
        ((6, 7), ShorterSide(3), (3, 4)),
        ((6, 7), ShorterSide(3, Rounding.FLOOR), (3, 3)),
        ((30, 40), Exact((8, 9)), (8, 9)),
        ((30, 40), None, (30, 40)),
    ],
)
def test_sizes_after_the_resize(image, resize, resized):
    where = placement(image, Contract(resize=resize))
    assert (where.image, where.resized, where.size, where.offset) == (image, resized, resized, (0, 0))


@pytest.mark.parametrize(
    ("image", "box", "resized", "offset"),
    [
        ((30, 40), Letterbox((16, 16)), (12, 16), (2, 0)),
        ((40, 30), Letterbox((16, 16)), (16, 12), (0, 2)),
        ((40, 30), Letterbox((16, 16), align=Align.TOP_LEFT), (16, 12), (0, 0)),
        ((20, 20), Letterbox((10, 15)), (10, 10), (0, 2)),
        # 5 * 10 / 4 = 12.5 rows, and the odd margin's larger half is behind.
        ((5, 4), Letterbox((15, 10)), (12, 10), (1, 0)),
        ((5, 4), Letterbox((15, 10), longer=Rounding.FLOOR), (12, 10), (1, 0)),
        ((7, 4), Letterbox((19, 10)), (18, 10), (0, 0)),
        ((1, 1000), Letterbox((8, 8)), (1, 8), (3, 0)),
        ((6, 8), Letterbox((6, 8)), (6, 8), (0, 0)),
    ],
)
def test_letterboxes(image, box, resized, offset):
    where = placement(image, Contract(resize=box))
    assert (where.resized, where.size, where.offset) == (resized, box.size, offset)


@pytest.mark.parametrize(
    ("crop", "offset"),
    [
        (Crop((4, 4)), (-3, -2)),
        (Crop((3, 5)), (-3, -1)),
        (Crop((3, 5), Rounding.HALF_EVEN), (-4, -2)),
        (Crop((5, 3), Rounding.HALF_EVEN), (-2, -2)),
        (Crop((10, 8)), (0, 0)),
    ],
)
def test_crops_of_ten_rows_and_eight_columns(crop, offset):
    where = placement((10, 8), Contract(crop=crop))
    assert (where.size, where.offset) == (crop.size, offset)
    top, left = -offset[0], -offset[1]
    pixels = noise(10, 8)
    expected = pixels[top : top + crop.size[0], left : left + crop.size[1]]
    assert np.array_equal(place(pixels, Contract(crop=crop)), expected)


def test_a_letterbox_is_filled():
    pixels = noise(6, 12)
    placed = place(pixels, Contract(resize=Letterbox((11, 12), (1, 2, 3))))
    assert np.array_equal(placed[2:8], pixels)
    assert {tuple(pixel) for pixel in placed[[0, 1, 8, 9, 10]].reshape(-1, 3).tolist()} == {(1, 2, 3)}


def test_a_crop_may_cut_a_letterbox():
    pixels = noise(4, 12)
    contract = Contract(resize=Letterbox((12, 12), (9, 9, 9)), crop=Crop((6, 6)))
    assert placement((4, 12), contract).offset == (1, -3)
    placed = place(pixels, contract)
    assert np.array_equal(placed[1:5], pixels[:, 3:9])
    assert set(placed[[0, 5]].ravel().tolist()) == {9}


def test_a_crop_may_miss_a_letterboxed_image_altogether():
    contract = Contract(resize=Letterbox((12, 12), (9, 9, 9), Align.TOP_LEFT), crop=Crop((2, 2)))
    assert set(place(noise(1, 12), contract).ravel().tolist()) == {9}


@pytest.mark.parametrize("crop", [(11, 8), (10, 9)])
def test_a_crop_larger_than_the_image_is_refused(crop):
    with pytest.raises(DataError, match="10x8 is smaller than the crop"):
        placement((10, 8), Contract(crop=Crop(crop)))
