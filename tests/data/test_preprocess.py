from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pocketfit.contract import Color, Contract, Crop, Exact, Layout, Letterbox, ShorterSide
from pocketfit.data import arithmetic, batches, default_preprocess, geometry
from pocketfit.errors import DataError
from pocketfit.types import Samples


def gradient(height: int, width: int) -> Image.Image:
    rows = np.linspace(0, 255, height)[:, None, None]
    columns = np.linspace(0, 255, width)[None, :, None]
    return Image.fromarray(np.broadcast_to((rows + columns) / 2, (height, width, 3)).astype(np.uint8))


@pytest.mark.parametrize(
    ("size", "resize", "expected"),
    [
        ((30, 40), None, (30, 40)),
        ((30, 40), ShorterSide(15), (15, 20)),
        ((40, 30), ShorterSide(15), (20, 15)),
        ((30, 30), ShorterSide(60), (60, 60)),
        ((33, 50), ShorterSide(16), (16, 24)),
        ((3, 1000), ShorterSide(3), (3, 1000)),
        ((30, 40), Exact((8, 9)), (8, 9)),
        ((30, 40), Letterbox((20, 20)), (20, 20)),
    ],
)
def test_resize(size, resize, expected):
    assert geometry(gradient(*size), Contract(resize=resize)).shape == (*expected, 3)


def test_resize_is_bilinear_with_antialias():
    checkers = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    small = geometry(Image.fromarray(checkers), Contract(resize=ShorterSide(8)))
    # Without antialias every eighth pixel would be picked, all of them 0 or all 255; away from the edge it is the mean.
    assert set(np.unique(small[1:-1, 1:-1])) <= {127, 128}


@pytest.mark.parametrize(("crop", "first"), [((4, 4), (3, 2)), ((3, 5), (3, 1)), ((10, 8), (0, 0))])
def test_crop_takes_the_centre(crop, first):
    image = np.zeros((10, 8, 3), dtype=np.uint8)
    image[..., 0], image[..., 1] = np.indices((10, 8))
    cropped = geometry(Image.fromarray(image), Contract(crop=Crop(crop)))
    assert cropped.shape == (*crop, 3)
    assert tuple(cropped[0, 0, :2]) == first


@pytest.mark.parametrize("crop", [(11, 8), (10, 9), (200, 200)])
def test_a_crop_larger_than_the_image_is_refused(crop):
    with pytest.raises(DataError, match=r"10x8 is smaller than the crop.*Give a resize"):
        geometry(gradient(10, 8), Contract(crop=Crop(crop)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_rotation_is_applied(tmp_path, picture, orientation):
    turned = {3: 180, 6: 270, 8: 90}
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture().save(tmp_path / "photo.png", exif=exif)
    with Image.open(tmp_path / "photo.png") as image:
        pixels = geometry(image, Contract())
    assert pixels.shape == ((24, 20, 3) if orientation >= 5 else (20, 24, 3))
    if orientation in turned:
        assert np.array_equal(pixels, np.asarray(picture().rotate(turned[orientation], expand=True)))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "LA", "I;16", "I", "YCbCr", "HSV"])
def test_every_mode_becomes_rgb(mode):
    grey = Image.fromarray(np.full((6, 6), 200, dtype=np.uint8))
    image = {
        "P": lambda: grey.quantize(),
        "I;16": lambda: Image.fromarray(np.full((6, 6), 200 << 8, dtype=np.uint16)),
        "I": lambda: Image.fromarray(np.full((6, 6), 200 << 8, dtype=np.int32)),
    }.get(mode, lambda: grey.convert("RGB").convert(mode))()
    pixels = geometry(image, Contract())
    assert (pixels.shape, pixels.dtype) == ((6, 6, 3), np.uint8)
    # Black and white dithers; the other colour spaces round by a step or two.
    assert mode == "1" or abs(pixels.astype(int) - 200).max() <= 2


def pixels_of(*colours):
    return np.array(colours, dtype=np.uint8).reshape(1, 1, len(colours), 3)


def test_arithmetic_by_hand():
    spec = Contract(scale=1 / 255, mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 2.0))
    result = arithmetic(pixels_of((255, 0, 51), (0, 255, 102)), spec)
    expected = np.array([[[[1.0, -1.0]], [[-1.0, 3.0]], [[0.1, 0.2]]]], dtype=np.float32)
    np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-7)  # float32 rounds 1/255 and 0.1
    assert (result.dtype, result.flags.c_contiguous) == (np.float32, True)


def test_bgr_turns_the_channels_before_mean_and_std():
    spec = Contract(color=Color.BGR, scale=1.0, mean=(103.0, 116.0, 123.0))
    assert arithmetic(pixels_of((10, 20, 30)), spec).ravel().tolist() == [30 - 103, 20 - 116, 10 - 123]


def test_gray_is_luma():
    spec = Contract(color=Color.GRAY, scale=1.0)
    result = arithmetic(pixels_of((255, 0, 0), (0, 255, 0), (0, 0, 255), (77, 77, 77)), spec)
    assert result.shape == (1, 1, 1, 4)
    # The weights of ITU-R BT.601, rounded to whole pixel values.
    assert result.ravel().tolist() == [round(0.299 * 255), round(0.587 * 255), round(0.114 * 255), 77]


def test_one_number_stands_for_every_channel():
    wide = arithmetic(pixels_of((10, 20, 30)), Contract(mean=(0.1, 0.1, 0.1), std=(2.0, 2.0, 2.0)))
    narrow = arithmetic(pixels_of((10, 20, 30)), Contract(mean=(0.1,), std=(2.0,)))
    assert np.array_equal(wide, narrow)


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_batches_cover_every_sample_once(size):
    images = np.random.default_rng(0).integers(0, 256, (7, 4, 5, 3), dtype=np.uint8)
    parts = list(batches(Samples(images, None, Contract()), size))
    assert [len(part) for part in parts] == [min(size, 7 - start) for start in range(0, 7, size)]
    assert np.array_equal(np.concatenate(parts), arithmetic(images, Contract()))


def test_batches_of_floats_are_taken_as_they_are():
    inputs = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)
    assert np.array_equal(np.concatenate(list(batches(Samples(inputs, None, None), 2))), inputs)


def test_the_default_keeps_an_eighth_of_margin():
    assert default_preprocess((3, 224, 224)) == Contract(resize=ShorterSide(256), crop=Crop((224, 224)))
    assert default_preprocess((1, 28, 32)) == Contract(resize=ShorterSide(37), crop=Crop((28, 32)), color=Color.GRAY)
    assert default_preprocess((3, 224, 224), fitting=True) == Contract()
    last = Contract(resize=ShorterSide(37), crop=Crop((28, 32)), layout=Layout.NHWC)
    assert default_preprocess((28, 32, 3)) == last


@pytest.mark.parametrize("shape", [(10,), (4, 8, 8), (3, 8), (1, 2, 3, 4)])
def test_no_default_for_what_is_no_image(shape):
    with pytest.raises(DataError, match=r"1 or 3 channels"):
        default_preprocess(shape)
