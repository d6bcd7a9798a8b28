from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

from pocketfit.data.contract import Kernel
from pocketfit.data.contract.taps import antialiased_taps, area_taps, nearest_taps, plain_taps

PAIRS = [(i, o) for i in range(1, 20) for o in range(1, 20)] + [
    (random.Random(seed).randint(20, 2000), random.Random(seed + 99).randint(1, 60)) for seed in range(20)
]


def used(taps, output):
    """Input pixel → weight, without the taps that weigh nothing."""
    sums: dict[int, int] = {}
    for index, weight in zip(taps.index[output].tolist(), taps.weight[output].tolist(), strict=True):
        sums[index] = sums.get(index, 0) + weight
    return {index: weight for index, weight in sums.items() if weight}


def bilinear_in_integers(inputs, outputs, output):
    """The same weights as docs/preprocessing.md gives them without doubles."""
    reach, center = 2 * max(inputs, outputs), (2 * output + 1) * inputs
    parts = {j: reach - abs((2 * j + 1) * outputs - center) for j in range(inputs)}
    parts = {j: part for j, part in parts.items() if part > 0}
    total = sum(parts.values())
    rounded = {j: ((part << 23) + total) // (2 * total) for j, part in parts.items()}
    return {j: weight for j, weight in rounded.items() if weight}


@pytest.mark.parametrize(("inputs", "outputs"), PAIRS)
def test_bilinear_with_antialias_can_be_computed_without_doubles(inputs, outputs):
    taps = antialiased_taps(inputs, outputs, Kernel.BILINEAR)
    for output in range(0, outputs, 1 + outputs // 8):
        assert used(taps, output) == bilinear_in_integers(inputs, outputs, output)


@pytest.mark.parametrize("kernel", [Kernel.BILINEAR, Kernel.BICUBIC, Kernel.BOX, Kernel.AREA])
@pytest.mark.parametrize(("inputs", "outputs"), PAIRS[::7])
def test_weights_add_up_to_one(kernel, inputs, outputs):
    taps = area_taps(inputs, outputs) if kernel is Kernel.AREA else antialiased_taps(inputs, outputs, kernel)
    # Every weight is off by half a unit at most.
    assert np.abs(taps.weight.sum(axis=1) - (1 << 22)).max() <= (taps.weight != 0).sum(axis=1).max() / 2


@pytest.mark.parametrize("kernel", [Kernel.BILINEAR, Kernel.BICUBIC])
@pytest.mark.parametrize(("inputs", "outputs"), PAIRS[::7])
def test_weights_without_antialias_add_up_to_one_exactly(kernel, inputs, outputs):
    assert set(plain_taps(inputs, outputs, kernel).weight.sum(axis=1).tolist()) == {1 << 11}


@pytest.mark.parametrize(("inputs", "outputs"), PAIRS[::5])
def test_area_covers_what_it_says(inputs, outputs):
    taps = area_taps(inputs, outputs)
    for output in range(outputs):
        low, high = Fraction(output * inputs, outputs), Fraction((output + 1) * inputs, outputs)
        for pixel, weight in used(taps, output).items():
            share = (min(high, pixel + 1) - max(low, pixel)) / (high - low)
            assert abs(weight - share * (1 << 22)) <= Fraction(1, 2)


def test_nearest_by_hand():
    assert nearest_taps(5, 3).index.ravel().tolist() == [0, 2, 4]
    assert nearest_taps(4, 2).index.ravel().tolist() == [1, 3]
    assert nearest_taps(2, 5).index.ravel().tolist() == [0, 0, 1, 1, 1]


def test_bilinear_without_antialias_by_hand():
    taps = plain_taps(4, 3, Kernel.BILINEAR)
    # Centres at 1/6, 1 1/2 and 2 5/6: 2048/6 = 341.3, a half, and 2048 * 5/6 = 1706.7.
    assert taps.index.tolist() == [[0, 1], [1, 2], [2, 3]]
    assert taps.weight.tolist() == [[1707, 341], [1024, 1024], [341, 1707]]


def test_bicubic_without_antialias_by_hand():
    taps = plain_taps(4, 2, Kernel.BICUBIC)
    # Half way between two pixels: -3/32, 19/32, 19/32, -3/32; the edge repeats.
    assert taps.index.tolist() == [[0, 0, 1, 2], [1, 2, 3, 3]]
    assert taps.weight.tolist() == [[-192, 1216, 1216, -192]] * 2


@pytest.mark.parametrize("kernel", [Kernel.BILINEAR, Kernel.BICUBIC])
def test_sums_without_antialias_stay_within_32_bits(kernel):
    weights = plain_taps(2048 * 3, 4096 * 3, kernel).weight.astype(np.int64)
    up, down = np.clip(weights, 0, None).sum(axis=1).max(), -np.clip(weights, None, 0).sum(axis=1).min()
    largest = 255 * (up * up + down * down) + (1 << 21)
    assert largest < 1 << 31
