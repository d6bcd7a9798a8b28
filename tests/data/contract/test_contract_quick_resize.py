from __future__ import annotations

import numpy as np
import pytest

from pocketfit.contract import Kernel
from pocketfit.data.contract import quick_resize as module
from pocketfit.data.contract.quick_resize import quick_resize
from pocketfit.data.contract.resize import resize


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)


# The third is so tall that Pillow, left to itself, begins with the rows from its release 13 on.
@pytest.mark.parametrize(("before", "after"), [((37, 29), (11, 53)), ((9, 14), (31, 40)), ((200, 20), (17, 19))])
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("kernel", Kernel)
def test_it_gives_the_bits_of_the_definition(kernel: Kernel, antialias: bool, before, after) -> None:
    pixels = noise(*before)
    quick = quick_resize(pixels, after, kernel, antialias=antialias)
    assert np.array_equal(quick, resize(pixels, after, kernel, antialias=antialias))


@pytest.mark.parametrize("kernel", [Kernel.BILINEAR, Kernel.BICUBIC, Kernel.BOX])
def test_this_pillow_agrees(kernel: Kernel) -> None:
    assert module._agrees(kernel)


def test_a_pillow_that_disagrees_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    by_pillow = module._by_pillow
    monkeypatch.setattr(module, "_by_pillow", lambda *arguments: by_pillow(*arguments) // 2)
    module._agrees.cache_clear()
    try:
        pixels = noise(20, 30)
        assert np.array_equal(quick_resize(pixels, (10, 12), Kernel.BICUBIC), resize(pixels, (10, 12), Kernel.BICUBIC))
    finally:
        module._agrees.cache_clear()


def test_rows_that_are_not_contiguous_are_taken() -> None:
    pixels = noise(20, 30)[:, ::-1]
    assert np.array_equal(quick_resize(pixels, (8, 9), Kernel.BOX), resize(pixels, (8, 9), Kernel.BOX))
