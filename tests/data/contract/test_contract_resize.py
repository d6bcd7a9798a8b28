from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from PIL import __version__ as pillow

from pocketfit.data.contract import Kernel
from pocketfit.data.contract.resize import resize

PILLOW = {
    Kernel.BILINEAR: Image.Resampling.BILINEAR,
    Kernel.BICUBIC: Image.Resampling.BICUBIC,
    Kernel.BOX: Image.Resampling.BOX,
}


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def extremes(height, width, seed=0):
    """Black and white alone: every overshoot of bicubic is cut off."""
    return noise(height, width, seed) // 128 * 255


def sizes(seed, count, largest):
    numbers = np.random.default_rng(seed).integers(1, largest, (count, 4))
    return [((int(h), int(w)), (int(high), int(wide))) for h, w, high, wide in numbers]


def rows_first(before, after):
    """Where Pillow 13 changed its order: the height shrinks by more than twice of what the width does."""
    shrink = before[0] - after[0]
    return int(pillow.split(".")[0]) >= 13 and shrink > 0 and shrink > 2 * (before[1] - after[1])


@pytest.mark.parametrize("kernel", PILLOW)
@pytest.mark.parametrize("make", [noise, extremes])
def test_it_is_pillow_bit_for_bit(kernel, make):
    for seed, (before, after) in enumerate(sizes(3, 250, 80)):
        pixels = make(*before, seed)
        image = Image.fromarray(pixels)
        ours = resize(pixels, after, kernel)
        one_axis_each = image.resize((after[1], before[0]), PILLOW[kernel]).resize(after[::-1], PILLOW[kernel])
        assert np.array_equal(ours, np.asarray(one_axis_each)), (before, after)
        if not rows_first(before, after):
            assert np.array_equal(ours, np.asarray(image.resize(after[::-1], PILLOW[kernel]))), (before, after)


@pytest.mark.parametrize("kernel", PILLOW)
@pytest.mark.parametrize(
    ("before", "after"),
    [((480, 640), (224, 299)), ((600, 401), (383, 256)), ((37, 500), (256, 3459 // 8)), ((1080, 720), (256, 171))],
)
def test_it_is_pillow_at_the_sizes_of_photographs(kernel, before, after):
    pixels = noise(*before)
    image = Image.fromarray(pixels)
    if rows_first(before, after):
        image = image.resize((after[1], before[0]), PILLOW[kernel])
    expected = image.resize(after[::-1], PILLOW[kernel])
    assert np.array_equal(resize(pixels, after, kernel), np.asarray(expected))


@pytest.mark.skipif(int(pillow.split(".")[0]) < 13, reason="begins with the columns always")
def test_where_pillow_13_begins_with_the_rows_it_does_the_same_in_the_other_order():
    found = [(before, after) for before, after in sizes(5, 120, 60) if rows_first(before, after)]
    assert len(found) > 20
    for before, after in found:
        pixels = noise(*before)
        rows = resize(pixels, (after[0], before[1]), Kernel.BICUBIC)
        expected = Image.fromarray(pixels).resize(after[::-1], Image.Resampling.BICUBIC)
        assert np.array_equal(resize(rows, after, Kernel.BICUBIC), np.asarray(expected)), (before, after)


@pytest.mark.parametrize(("kernel", "mode"), [(Kernel.BILINEAR, "bilinear"), (Kernel.BICUBIC, "bicubic")])
def test_without_antialias_it_is_what_torch_interpolates(kernel, mode):
    for seed, (before, after) in enumerate(sizes(7, 60, 50)):
        pixels = noise(*before, seed)
        planes = torch.from_numpy(pixels).permute(2, 0, 1)[None].double()
        real = torch.nn.functional.interpolate(planes, after, mode=mode, align_corners=False, antialias=False)
        expected = real[0].permute(1, 2, 0).clamp(0, 255).numpy()
        # Half a step for the rounding, and two axes of weights that are off by 2^-12 each on pixels up to 255.
        ours = resize(pixels, after, kernel, antialias=False).astype(float)
        assert np.abs(ours - expected).max() <= 0.5 + 0.5, (before, after)


def test_area_is_the_mean_where_the_ratio_is_whole():
    pixels = noise(12, 20)
    means = pixels.reshape(4, 3, 5, 4, 3).mean(axis=(1, 3))
    # Rows and columns are rounded one after the other.
    assert np.abs(resize(pixels, (4, 5), Kernel.AREA) - means).max() <= 1.0


def test_area_and_box_agree_where_the_ratio_is_whole():
    pixels = noise(24, 36)
    assert np.array_equal(resize(pixels, (8, 9), Kernel.AREA), resize(pixels, (8, 9), Kernel.BOX))


@pytest.mark.parametrize("kernel", Kernel)
@pytest.mark.parametrize("antialias", [True, False])
def test_the_size_that_is_there_changes_nothing(kernel, antialias):
    pixels = noise(7, 11)
    assert np.array_equal(resize(pixels, (7, 11), kernel, antialias=antialias), pixels)


@pytest.mark.parametrize("kernel", Kernel)
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("value", [0, 1, 127, 254, 255])
def test_one_colour_stays_that_colour(kernel, antialias, value):
    pixels = np.full((13, 9, 3), value, dtype=np.uint8)
    for size in ((5, 4), (29, 31), (1, 1), (2, 30)):
        assert set(resize(pixels, size, kernel, antialias=antialias).ravel().tolist()) == {value}


def test_nearest_picks_pixels():
    pixels = noise(5, 4)
    assert np.array_equal(resize(pixels, (3, 2), Kernel.NEAREST), pixels[[0, 2, 4]][:, [1, 3]])


def test_an_image_without_channels_is_resized_as_one_with_them():
    pixels = noise(9, 8)
    assert np.array_equal(
        resize(pixels[..., 0], (4, 5), Kernel.BICUBIC), resize(pixels, (4, 5), Kernel.BICUBIC)[..., 0]
    )


def test_nearest_is_pillows_but_for_exact_quotients():
    for before in range(1, 60):
        row = Image.fromarray(np.arange(before, dtype=np.uint8)[None])
        for after in range(1, 60):
            pillows = np.asarray(row.resize((after, 1), Image.Resampling.NEAREST))[0].astype(int)
            ours = resize(np.asarray(row), (1, after), Kernel.NEAREST)[0].astype(int)
            exact = (2 * np.arange(after) + 1) * before % (2 * after) == 0
            # There Pillow's sums of doubles end up on either side.
            assert np.array_equal(pillows[~exact], ours[~exact])
            assert set((ours - pillows).tolist()) <= {0, 1}
