"""The definition in docs/preprocessing.md, written anew in C++ (replay.cpp), against the reference."""

from __future__ import annotations

import shutil
import subprocess
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from pocketfit.data.contract import (
    Align,
    Contract,
    Crop,
    Dtype,
    Kernel,
    Letterbox,
    Matrix,
    Quantization,
    Range,
    Rounding,
    ShorterSide,
    Yuv,
    YuvFormat,
    from_buffer,
    placement,
)
from pocketfit.data.contract.arithmetic import luma, table
from pocketfit.data.contract.examples import noise
from pocketfit.data.contract.geometry import orient
from pocketfit.data.contract.resize import resize
from pocketfit.data.contract.yuv import yuv_to_rgb

COMPILER = shutil.which("c++") or shutil.which("g++")

pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler here")


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("replay") / "replay"
    source = Path(__file__).with_name("replay.cpp")
    # Optimised as an app would be: without the last flag a compiler may fuse products with sums.
    subprocess.run([COMPILER, "-std=c++17", "-O2", "-ffp-contract=off", "-o", path, source], check=True, timeout=300)
    return path


def check(program, cases):
    """Run cases, each a line for the program and what the reference makes of it."""
    text = "".join(line + "\n" for line, _ in cases)
    done = subprocess.run([program], input=text, capture_output=True, text=True, check=True, timeout=300)
    answers = done.stdout.splitlines()
    assert len(answers) == len(cases)
    for answer, (line, expected) in zip(answers, cases, strict=True):
        found = np.array(answer.split(), dtype=np.int64)
        assert np.array_equal(found, np.asarray(expected).ravel()), line[:80]


def spelt(*parts):
    return " ".join(" ".join(map(str, part.ravel())) if isinstance(part, np.ndarray) else str(part) for part in parts)


@pytest.mark.parametrize(("kernel", "antialias"), [*product(Kernel, [True]), ("bilinear", False), ("bicubic", False)])
def test_resize(program, kernel, antialias):
    kernel = Kernel(kernel)
    sizes = np.random.default_rng(0).integers(1, 40, (60, 4)).tolist()
    # Ratios at which edges of `box` fall between two pixels, and the doubles decide.
    sizes += [[11, 22, 10, 20], [33, 13, 30, 10], [7, 27, 6, 26], [49, 35, 14, 10]]
    cases = []
    for h, w, high, wide in sizes:
        pixels = noise((h, w, 3), h * w)
        expected = resize(pixels, (high, wide), kernel, antialias=antialias)
        cases.append((spelt("resize", kernel, int(antialias), h, w, high, wide, pixels), expected))
    check(program, cases)


def test_yuv(program):
    cases = []
    for format, matrix, range, (h, w, stride) in product(
        YuvFormat, Matrix, Range, ((16, 16, 0), (7, 5, 0), (6, 5, 12), (1, 1, 0))
    ):
        row = stride or w
        buffer = noise((row * h + 2 * ((row + 1) // 2) * ((h + 1) // 2),), h)
        image = from_buffer(buffer, h, w, Yuv(format), stride or None)
        line = spelt("yuv", format, matrix, range, h, w, stride, len(buffer), buffer)
        cases.append((line, yuv_to_rgb(image, matrix, range)))
    check(program, cases)


def test_orientation(program):
    pixels = noise((3, 5), 1)
    check(program, [(spelt("orientation", value, 3, 5, pixels), orient(pixels, value)) for value in range(1, 9)])


def test_luma(program):
    pixels = noise((40, 40, 3), 2)
    check(program, [(spelt("luma", pixels), luma(pixels))])


NUMBERS = (
    (1 / 255, 0.485, 0.229),
    (1 / 255, 0.406, 0.225),
    (1 / 127.5, 1.0, 1.0),
    (1.0, 103.939, 1.0),
    (0.3, -7.1, 0.013),
)


def test_tables(program):
    cases = []
    for scale, mean, std in NUMBERS:
        plain = {"scale": scale, "mean": (mean,), "std": (std,)}
        cases.append((spelt("table float32", scale, mean, std, 1, 0), table(Contract(**plain))[0].view(np.int32)))
        for dtype, zero in ((Dtype.UINT8, 114), (Dtype.INT8, -14)):
            contract = Contract(**plain, dtype=dtype, quantization=Quantization(0.0186, zero))
            cases.append((spelt("table", dtype, scale, mean, std, 0.0186, zero), table(contract)[0]))
    check(program, cases)


def test_sizes(program):
    cases = []
    sizes = np.random.default_rng(1).integers(1, 500, (200, 2)).tolist()
    for (h, w), rounding in product(sizes, Rounding):
        floor = int(rounding is Rounding.FLOOR)
        for align in Align:
            where = placement((h, w), Contract(resize=Letterbox((96, 160), align=align, longer=rounding)))
            line = spelt("letterbox", h, w, 96, 160, int(align is Align.CENTER), floor)
            cases.append((line, [*where.resized, *where.offset]))
        where = placement((h, w), Contract(resize=ShorterSide(96, rounding), crop=Crop((87, 87), rounding)))
        line = spelt("shorter_side", h, w, 96, floor, 87, floor)
        cases.append((line, [*where.resized, *(-offset for offset in where.offset)]))
    check(program, cases)
