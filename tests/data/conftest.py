"""Images and folders made in code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def picture(seed: int = 0, size: tuple[int, int] = (20, 24)) -> Image.Image:
    """Random colours in large patches, so that JPEG keeps them; size is height, width."""
    height, width = size
    colours = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(colours).resize((width, height), Image.Resampling.NEAREST)


def make_folder(root: Path, classes: dict[str, int], suffix: str = ".png") -> Path:
    """Class folders with that many images each."""
    number = 0
    for name, count in classes.items():
        (root / name).mkdir(parents=True)
        for index in range(count):
            picture(number).save(root / name / f"image{index}{suffix}")
            number += 1
    return root


@pytest.fixture(name="picture")
def _picture() -> Callable[..., Image.Image]:
    return picture


@pytest.fixture(name="make_folder")
def _make_folder() -> Callable[..., Path]:
    return make_folder
