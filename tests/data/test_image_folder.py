from __future__ import annotations

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pocketfit.contract import (
    Classes,
    Color,
    Contract,
    Crop,
    Dtype,
    Kernel,
    Layout,
    Letterbox,
    Quantization,
    ShorterSide,
)
from pocketfit.data import batches, geometry, load_data
from pocketfit.errors import DataError, OutputError

SPEC = Contract(resize=ShorterSide(12), crop=Crop((8, 8)))


def load(folder, tmp_path, **options):
    defaults = {"preprocess": SPEC, "input_shape": (3, 8, 8), "cache": tmp_path / "cache", "calibration": 4}
    return load_data(str(folder), **{**defaults, **options})


@pytest.fixture
def folder(tmp_path, make_folder):
    return make_folder(tmp_path / "photos", {"cat": 6, "dog": 7, "elk": 5})


def test_a_folder_a_class(folder, tmp_path):
    data = load(folder, tmp_path)
    assert data.source == str(folder)
    assert data.calibration.labels is None
    assert (data.calibration.inputs.shape, data.evaluation.inputs.shape) == ((4, 8, 8, 3), (14, 8, 8, 3))
    assert data.evaluation.inputs.dtype == np.uint8
    assert data.evaluation.labels.dtype == np.int64
    assert data.evaluation.classes == ("cat", "dog", "elk")
    assert data.evaluation.preprocess == SPEC
    assert data.notes == ()


def test_every_image_has_its_own_label(folder, tmp_path):
    data = load(folder, tmp_path)
    by_pixels = {}
    for path in folder.rglob("*.png"):
        with Image.open(path) as image:
            by_pixels[geometry(image, SPEC).tobytes()] = path.parent.name
    names = [data.evaluation.classes[label] for label in data.evaluation.labels]
    assert names == [by_pixels[image.tobytes()] for image in data.evaluation.inputs]
    everything = [image.tobytes() for part in (data.calibration, data.evaluation) for image in part.inputs]
    assert len(set(everything)) == 18


def test_empty_class_folders_count(folder, tmp_path):
    (folder / "bee").mkdir()
    data = load(folder, tmp_path)
    assert data.evaluation.classes == ("bee", "cat", "dog", "elk")
    assert set(data.evaluation.labels) <= {1, 2, 3}


def test_what_is_no_image_is_left_out(folder, tmp_path, picture):
    before = load(folder, tmp_path)
    (folder / ".thumbnails").mkdir()
    (folder / "cat" / ".hidden.png").write_bytes(b"x")
    (folder / "cat" / "notes.txt").write_text("x")
    (folder / "README.md").write_text("x")
    picture().save(folder / "beside.png")
    after = load(folder, tmp_path)
    assert after.evaluation.fingerprint == before.evaluation.fingerprint
    assert after.notes == ("1 images beside the class folders were left out.",)


def test_images_may_lie_deeper(folder, tmp_path):
    (folder / "cat" / "2024" / "may").mkdir(parents=True)
    shutil.move(folder / "cat" / "image0.png", folder / "cat" / "2024" / "may" / "image0.png")
    assert len(load(folder, tmp_path).evaluation.inputs) == 14


def test_a_flat_folder_has_no_labels(tmp_path, picture):
    (tmp_path / "flat").mkdir()
    for number in range(9):
        picture(number).save(tmp_path / "flat" / f"{number}.JPG", format="jpeg")
    data = load(tmp_path / "flat", tmp_path)
    assert data.evaluation.labels is None
    assert data.evaluation.classes == ()
    assert "no labels" in data.notes[0]


def test_the_split_survives_another_place_and_order(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    one, two = load(folder, tmp_path), load(tmp_path / "copy", tmp_path)
    assert one.calibration.fingerprint == two.calibration.fingerprint
    assert one.evaluation.fingerprint == two.evaluation.fingerprint
    assert np.array_equal(one.evaluation.inputs, two.evaluation.inputs)


def test_fingerprints_follow_pixels_labels_and_preprocessing(folder, tmp_path, picture):
    prints = [load(folder, tmp_path)]
    prints.append(load(folder, tmp_path, preprocess=Contract(resize=ShorterSide(12), crop=Crop((8, 8)), mean=(0.5,))))
    prints.append(load(folder, tmp_path, preprocess=Contract(resize=ShorterSide(13), crop=Crop((8, 8)))))
    for path in folder.rglob("*.png"):
        picture(99).save(path)
    prints.append(load(folder, tmp_path))
    (folder / "ant").mkdir()
    prints.append(load(folder, tmp_path))
    assert len({data.evaluation.fingerprint for data in prints}) == 5
    assert len({data.calibration.fingerprint for data in prints}) == 4


def test_without_preprocessing_a_default_is_said(folder, tmp_path):
    data = load(folder, tmp_path, preprocess=None)
    assert data.evaluation.preprocess == Contract(resize=ShorterSide(9), crop=Crop((8, 8)))
    assert "No preprocessing was given: images are resized to 9 pixels" in data.notes[0]


def test_a_gray_model(folder, tmp_path):
    data = load(folder, tmp_path, preprocess=None, input_shape=(1, 8, 8))
    assert data.evaluation.preprocess.color is Color.GRAY
    assert data.evaluation.inputs.shape[1:] == (8, 8, 3)


def test_fewer_folders_than_outputs_is_said(folder, tmp_path):
    assert "3 class folders for 10 outputs" in load(folder, tmp_path, outputs=10).notes[0]
    with pytest.raises(DataError, match="0 to 1, as the model has 2 outputs"):
        load(folder, tmp_path, outputs=2)


def test_progress_is_told_and_the_cache_is_used(folder, tmp_path):
    steps = []
    first = load(folder, tmp_path, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(number, 18) for number in range(1, 19)]
    second = load(folder, tmp_path, progress=lambda done, total: pytest.fail("decoded again"))
    assert isinstance(second.evaluation.inputs, np.memmap)
    assert np.array_equal(first.evaluation.inputs, second.evaluation.inputs)
    assert first.evaluation.fingerprint == second.evaluation.fingerprint


@pytest.mark.parametrize(
    "change", [{"kernel": Kernel.NEAREST}, {"antialias": False}, {"orientation": 3}, {"resize": Letterbox((20, 20))}]
)
def test_another_geometry_is_decoded_anew(folder, tmp_path, change):
    first, second = load(folder, tmp_path), load(folder, tmp_path, preprocess=replace(SPEC, **change))
    assert not np.array_equal(first.evaluation.inputs, second.evaluation.inputs)


def test_other_numbers_share_the_decoded_images(folder, tmp_path):
    first = load(folder, tmp_path)
    other = replace(SPEC, mean=(0.3,), color=Color.BGR, output=Classes())
    second = load(folder, tmp_path, preprocess=other, progress=lambda done, total: pytest.fail("decoded again"))
    assert np.array_equal(first.evaluation.inputs, second.evaluation.inputs)
    assert first.evaluation.fingerprint != second.evaluation.fingerprint


def test_what_becomes_of_the_outputs_changes_no_fingerprint(folder, tmp_path):
    first, second = (load(folder, tmp_path, preprocess=replace(SPEC, output=output)) for output in (None, Classes()))
    assert first.calibration.fingerprint == second.calibration.fingerprint


def test_a_model_that_takes_channels_last(folder, tmp_path):
    data = load(folder, tmp_path, preprocess=replace(SPEC, layout=Layout.NHWC), input_shape=(8, 8, 3))
    assert next(batches(data.evaluation, 2)).shape == (2, 8, 8, 3)


def test_integers_are_not_what_models_are_fitted_with(folder, tmp_path):
    spec = replace(SPEC, dtype=Dtype.UINT8, quantization=Quantization(1.0))
    with pytest.raises(DataError, match="ends in uint8; models are fitted with float32"):
        load(folder, tmp_path, preprocess=spec)


def test_only_what_is_needed_is_decoded(folder, tmp_path):
    totals = set()
    load(folder, tmp_path, evaluation=5, progress=lambda done, total: totals.add(total))
    assert totals == {9}


def test_a_changed_image_is_decoded_again(folder, tmp_path, picture):
    first = load(folder, tmp_path)
    path = folder / "cat" / "image0.png"
    picture(77).save(path)
    os.utime(path, ns=(1, 1))
    second = load(folder, tmp_path)
    prints = [(data.calibration.fingerprint, data.evaluation.fingerprint) for data in (first, second)]
    assert prints[0] != prints[1]


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"x"), lambda path: path.unlink()])
@pytest.mark.parametrize("pattern", ["*.npy", "*.sha256"])
def test_a_damaged_cache_is_made_again(folder, tmp_path, damage, pattern):
    first = load(folder, tmp_path)
    pixels = np.array(first.evaluation.inputs)
    (path,) = (tmp_path / "cache").glob(pattern)
    damage(path)
    assert np.array_equal(load(folder, tmp_path).evaluation.inputs, pixels)
    assert load(folder, tmp_path).evaluation.fingerprint == first.evaluation.fingerprint


def test_nothing_is_left_half_written(folder, tmp_path):
    (folder / "cat" / "image1.png").write_bytes(b"no image")
    with pytest.raises(DataError):
        load(folder, tmp_path)
    assert list((tmp_path / "cache").iterdir()) == []


def test_unreadable_images_are_counted_and_named(folder, tmp_path):
    content = (folder / "dog" / "image0.png").read_bytes()
    (folder / "dog" / "image0.png").write_bytes(content[:60])
    for number in range(4):
        (folder / "cat" / f"image{number}.png").write_bytes(b"" if number % 2 else b"hello")
    with pytest.raises(DataError, match=r"5 of 18 images cannot be used: \w+/image\d\.png: .*; and 2 more"):
        load(folder, tmp_path)


def test_images_smaller_than_the_crop_are_named(folder, tmp_path, picture):
    picture(size=(5, 30)).save(folder / "elk" / "flat.png")
    with pytest.raises(DataError, match=r"1 of 19 .*elk/flat\.png.*5x30 is smaller than the crop"):
        load(folder, tmp_path, preprocess=Contract(crop=Crop((8, 8))))


def test_sizes_that_differ_without_a_crop(folder, tmp_path, picture):
    picture(size=(50, 30)).save(folder / "elk" / "tall.png")
    with pytest.raises(DataError, match="Give --crop"):
        load(folder, tmp_path, preprocess=Contract(resize=ShorterSide(8)))


@pytest.mark.parametrize("shape", [(3, 9, 8), (1, 8, 8), (3, 8), (4, 8, 8)])
def test_a_preprocessing_for_another_model(folder, tmp_path, shape):
    words = "x".join(str(size) for size in shape)
    with pytest.raises(DataError, match=f"become 3x8x8, the model takes {words}"):
        load(folder, tmp_path, input_shape=shape)


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ({}, "holds no images"),
        ({"cat": 0, "dog": 0}, "holds no images in its sub-folders"),
        ({"cat": 20}, "one class only, cat"),
        ({"cat": 20, "dog": 0}, "one class only, cat"),
        ({"cat": 3, "dog": 4}, "holds 7 samples; at least 8"),
    ],
)
def test_folders_that_are_no_data(tmp_path, make_folder, classes, words):
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match=words):
        load(make_folder(tmp_path / "photos", classes), tmp_path)


def test_a_cache_that_cannot_be_made(folder, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"The cache .*file/cache cannot be written"):
        load(folder, tmp_path, cache=tmp_path / "file" / "cache")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk(folder, tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    target = next(iter(_names_of_cache(folder, tmp_path)))
    # Whatever is written to this name finds the disk full.
    (cache / f"{target}.{os.getpid()}.tmp").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=os.strerror(errno.ENOSPC)):
        load(folder, tmp_path)
    assert list(cache.iterdir()) == []


def _names_of_cache(folder, tmp_path):
    load(folder, tmp_path, cache=tmp_path / "elsewhere")
    return {path.stem for path in (tmp_path / "elsewhere").iterdir()}
