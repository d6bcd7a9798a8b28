"""The digits that the demo's network was not trained on, as an image folder: python digit_images.py FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from pocketfit.data.digits import read_digits

SIDE = 32


def write_images(folder: Path) -> None:
    """One PNG of 32x32 pixels a digit, in a folder for each class."""
    digits = read_digits()
    for position in digits.held_out:
        home = folder / str(digits.labels[position])
        home.mkdir(parents=True, exist_ok=True)
        pixels = np.round(255 * digits.inputs[position, 0]).astype(np.uint8)
        Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.NEAREST).save(home / f"{position:04}.png")


if __name__ == "__main__":
    write_images(Path(sys.argv[1]))
