from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pocketfit.contract import Color, Contract, Crop, Kernel, ShorterSide
from pocketfit.data.faults import FAULTS, Fault, together, upright
from pocketfit.data.preprocess import arithmetic, geometry
from pocketfit.errors import DataError

SPEC = Contract(resize=ShorterSide(18), crop=Crop((16, 14)), mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.25))
BY_NAME = {fault.name: fault for fault in FAULTS}


def photo(height: int = 40, width: int = 60) -> np.ndarray:
    """Red to the right, green downwards, blue in stripes: nothing in it is symmetric."""
    rows, columns = np.indices((height, width))
    stripes = np.where((rows + 2 * columns) % 7 < 3, 200, 40)
    return np.stack([columns * 255 // width, rows * 255 // height, stripes], -1).astype(np.uint8)


def inputs(name: str, image: np.ndarray | Image.Image, spec: Contract = SPEC) -> np.ndarray:
    return BY_NAME[name].inputs([image], spec)


def right(image: np.ndarray, spec: Contract = SPEC) -> np.ndarray:
    return Fault("", "").inputs([image], spec)


def test_there_are_many_and_each_has_its_own_name() -> None:
    assert len(FAULTS) == len(BY_NAME) == 34
    assert all(fault.meaning.endswith(".") for fault in FAULTS)


def test_no_fault_is_the_preprocessing_itself() -> None:
    expected = arithmetic(geometry(Image.fromarray(photo()), SPEC)[None], SPEC)
    assert np.array_equal(right(photo()), expected)


@pytest.mark.parametrize("name", [name for name in BY_NAME if name != "exif-ignored"])
@pytest.mark.parametrize("color", [Color.RGB, Color.BGR])
def test_each_fault_changes_what_the_model_gets_but_not_its_shape(name: str, color: Color) -> None:
    spec = replace(SPEC, color=color, kernel=Kernel.AREA if name == "bilinear" else SPEC.kernel)
    got = inputs(name, photo(), spec)
    assert (got.shape, got.dtype) == ((1, 3, 16, 14), np.float32)
    assert not np.allclose(got, right(photo(), spec), atol=1e-3)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_gray_models_get_one_channel(fault: Fault) -> None:
    spec = Contract(resize=ShorterSide(18), crop=Crop((16, 16)), color=Color.GRAY)
    assert fault.inputs([photo()], spec).shape == (1, 1, 16, 16)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_images_that_fit_already_are_taken(fault: Fault) -> None:
    assert fault.inputs([photo(20, 20)] * 2, Contract()).shape == (2, 3, 20, 20)


def test_colours_by_hand() -> None:
    plain = np.broadcast_to(np.array([200, 100, 50], np.uint8), (4, 4, 3))
    spec = Contract(scale=1.0)
    first = {name: inputs(name, plain, spec)[0, :, 0, 0] for name in BY_NAME}
    assert first["channel-order"].tolist() == [50, 100, 200]
    # 0.299 * 200 + 0.587 * 100 + 0.114 * 50 is 124.2.
    assert first["gray"].tolist() == [124, 124, 124]
    # Y 124, Cb 86, Cr 182: with the two exchanged, R is 124 + 1.402 * (86 - 128).
    np.testing.assert_allclose(first["uv-swapped"], [65, 135, 220], atol=1)
    # Y becomes 16 + 124.2 * 219 / 255, the colour differences shrink by 224 / 255.
    np.testing.assert_allclose(first["limited-as-full"], [189, 101, 57], atol=2)
    # R is 124.2 + 1.5748 * 54.1 instead of 1.402 * 54.1.
    np.testing.assert_allclose(first["yuv-matrix"], [209, 107, 46], atol=1)
    assert first["caffe-statistics"] == pytest.approx([50 - 103.939, 100 - 116.779, 200 - 123.68], abs=1e-4)


def test_full_as_limited_undoes_limited_as_full() -> None:
    muted = photo() // 2 + 64
    washed_out = BY_NAME["limited-as-full"].decode(muted)
    back = np.asarray(BY_NAME["full-as-limited"].decode(washed_out), dtype=int)
    # Half a level of YUV, twice, stretched by 255 / 219 and by up to 1.8 where it becomes RGB.
    assert np.abs(back - muted).max() <= 4
    assert abs((back - muted).mean()) < 0.5


def test_two_faults_together() -> None:
    both = together(BY_NAME["channel-order"], BY_NAME["raw-range"])
    assert both is not None
    assert both.name == "channel-order + raw-range"
    assert both.meaning == BY_NAME["channel-order"].meaning + " " + BY_NAME["raw-range"].meaning
    assert both.inputs([np.full((4, 4, 3), (1, 2, 3), np.uint8)], Contract())[0, :, 0, 0].tolist() == [3, 2, 1]
    assert together(BY_NAME["squash"], BY_NAME["box"]) is None


def test_ranges_by_hand() -> None:
    plain = np.full((4, 4, 3), 51, np.uint8)
    spec = Contract(mean=(0.5, 0.4, 0.3), std=(0.25, 0.2, 0.1))
    first = {name: inputs(name, plain, spec)[0, :, 0, 0] for name in BY_NAME}
    assert first["raw-range"].tolist() == [51, 51, 51]
    for name, expected in {
        "unit-range": [0.2, 0.2, 0.2],
        "symmetric-range": [-0.6, -0.6, -0.6],
        "imagenet-statistics": [(0.2 - 0.485) / 0.229, (0.2 - 0.456) / 0.224, (0.2 - 0.406) / 0.225],
        "no-mean": [0.8, 1.0, 2.0],
        "no-std": [-0.3, -0.2, -0.1],
        "statistics-reversed": [(0.2 - 0.3) / 0.1, -1.0, (0.2 - 0.5) / 0.25],
        "normalised-twice": [(-1.2 / 255 - 0.5) / 0.25, (-1 / 255 - 0.4) / 0.2, (-1 / 255 - 0.3) / 0.1],
        "per-image-statistics": [0.0, 0.0, 0.0],
    }.items():
        # float32 rounds a few times on the way.
        np.testing.assert_allclose(first[name], expected, atol=1e-5)


def test_the_layout_is_read_in_the_wrong_order() -> None:
    spec = Contract(scale=1.0)
    assert inputs("layout", photo(), spec).ravel().tolist() == photo().astype(float).ravel().tolist()


def test_turning_by_hand() -> None:
    image, spec = photo(20, 20), Contract(scale=1.0)
    pixels = image.transpose(2, 0, 1)
    for name, expected in {
        "rotated-90": np.rot90(pixels, axes=(1, 2)),
        "rotated-180": pixels[:, ::-1, ::-1],
        "rotated-270": np.rot90(pixels, -1, axes=(1, 2)),
        "mirrored": pixels[:, :, ::-1],
        "flipped": pixels[:, ::-1],
        "transposed": pixels.transpose(0, 2, 1),
    }.items():
        assert np.array_equal(inputs(name, image, spec)[0], expected), name


def test_the_exif_orientation_is_ignored(tmp_path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photo(20, 20)).save(tmp_path / "photo.png", exif=exif)
    spec = Contract(scale=1.0)
    with Image.open(tmp_path / "photo.png") as image:
        assert np.array_equal(inputs("exif-ignored", image, spec), right(photo(20, 20), spec))
        assert np.array_equal(np.asarray(upright(image)), np.rot90(photo(20, 20), -1))


def test_geometry_by_hand() -> None:
    image, spec = photo(40, 60), Contract(resize=ShorterSide(20), crop=Crop((16, 16)), scale=1.0)
    picture = Image.fromarray(image)
    for name, size, box in (
        ("squash", (16, 16), (0, 0, 16, 16)),
        ("squash-then-crop", (20, 20), (2, 2, 18, 18)),
        ("no-margin", (24, 16), (4, 0, 20, 16)),
        ("corner-crop", (30, 20), (0, 0, 16, 16)),
    ):
        expected = picture.resize(size, Image.Resampling.BILINEAR).crop(box)
        assert np.array_equal(inputs(name, image, spec)[0], np.asarray(expected).transpose(2, 0, 1)), name
    boxed = inputs("letterbox", image, spec)[0]
    assert not boxed[:, :2].any() and not boxed[:, -2:].any() and boxed[:, 4:12].any()


@pytest.mark.parametrize("kernel", ["NEAREST", "BICUBIC", "BOX"])
def test_kernels_are_pillows(kernel: str) -> None:
    image, spec = photo(40, 60), Contract(resize=ShorterSide(20), crop=Crop((16, 16)), scale=1.0)
    resized = Image.fromarray(image).resize((30, 20), Image.Resampling[kernel]).crop((7, 2, 23, 18))
    assert np.array_equal(inputs(kernel.lower(), image, spec)[0], np.asarray(resized).transpose(2, 0, 1))


def test_without_antialias_pixels_are_skipped() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[3::8] = 255
    # Eight rows become one: between rows 3 and 4 of each eight, of which the first is white.
    assert set(np.unique(inputs("no-antialias", image, Contract(resize=ShorterSide(8), scale=1.0)))) <= {127.0, 128.0}
    assert (
        inputs("no-antialias", np.full((9, 9, 3), 7, np.uint8), Contract(resize=ShorterSide(4), scale=1.0)).min() == 7
    )


def test_images_of_different_sizes_are_refused() -> None:
    with pytest.raises(DataError, match=r"2 sizes after the preprocessing \(20x20, 20x30\)"):
        BY_NAME["gray"].inputs([photo(20, 20), photo(20, 30)], Contract())
    with pytest.raises(DataError, match="0 images have 0 sizes"):
        BY_NAME["gray"].inputs([], Contract())


@pytest.mark.parametrize("wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8)])
def test_what_is_no_image_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(DataError, match="uint8 height x width x 3"):
        upright(wrong)
