"""`pocketfit tile` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pocketfit.cli.app import run
from pocketfit.models.load import load_model

NETS = """
import torch
from torch import nn


class Larger(nn.Module):
    input_shape = (3, 32, 32)

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 12, 3, padding=1)

    def forward(self, x):
        return nn.functional.pixel_shuffle(self.two(torch.relu(self.one(x))), 2)


class Mask(nn.Module):
    input_shape = (3, 32, 32)

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(3, 1, 3, padding=1)

    def forward(self, x):
        return torch.sigmoid(self.one(x))


class Planes(nn.Module):
    input_shape = (2, 32, 32)

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x):
        return self.one(x)


def larger():
    return Larger()


def mask():
    return Mask()


def planes():
    return Planes()
"""

# The same layers on tiles and on the whole image add in another order: a few units in the last place of values near 1.
ROUNDING = 1e-5


@pytest.fixture
def nets(tmp_path: Path) -> str:
    path = tmp_path / "nets.py"
    path.write_text(NETS)
    return str(path)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (70, 53, 3), dtype=np.uint8)).save(path)
    return path


def whole(spec: str, values: np.ndarray) -> np.ndarray:
    """What the whole image gives."""
    model = load_model(spec, input_shape=values.shape[1:])
    with torch.no_grad():
        answer: np.ndarray = model.graph(torch.from_numpy(values)).numpy()
    return answer


def as_input(path: Path) -> np.ndarray:
    pixels = np.asarray(Image.open(path), dtype=np.float32)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]) / 255


def test_a_picture_is_answered_with_the_picture_that_the_whole_gives(
    nets: str, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "large.png"
    assert run(["tile", f"{nets}:larger", str(photo), "-o", str(out), "--workers", "2", "--tile", "40x32"]) == 0
    printed = capsys.readouterr().out
    assert "70x53, answered with 140x106" in printed and "of 40x32" in printed
    assert "Tiles that share 6 pixels give what the whole image gives" in printed
    expected = np.clip(whole(f"{nets}:larger", as_input(photo)) * 255, 0, 255)[0].transpose(1, 2, 0)
    # Half a step of rounding to whole pixels, and what tiles round otherwise.
    assert np.abs(np.asarray(Image.open(out)) - expected).max() <= 0.5 + 255 * ROUNDING


def test_the_preprocessing_is_done_and_undone(nets: str, photo: Path, tmp_path: Path) -> None:
    out, options = tmp_path / "large.png", ["--color", "bgr", "--mean", "0.5,0.4,0.3", "--std", "0.2"]
    assert run(["tile", f"{nets}:larger", str(photo), "-o", str(out), *options]) == 0
    mean = np.array([0.5, 0.4, 0.3], np.float32)[:, None, None]
    given = np.ascontiguousarray((as_input(photo)[:, ::-1] - mean) / np.float32(0.2))
    pixels = np.clip((whole(f"{nets}:larger", given)[0] * 0.2 + mean) * 255, 0, 255)[::-1].transpose(1, 2, 0)
    assert np.abs(np.asarray(Image.open(out)) - pixels).max() <= 0.5 + 255 * ROUNDING


def test_a_mask_is_a_gray_picture(nets: str, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "mask.png"
    assert run(["tile", f"{nets}:mask", str(photo), "-o", str(out)]) == 0
    expected = whole(f"{nets}:mask", as_input(photo))[0, 0] * 255
    assert np.abs(np.asarray(Image.open(out)) - expected).max() <= 0.5 + 255 * ROUNDING


def test_numbers_go_in_and_come_out_as_they_are(nets: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = np.random.default_rng(0).normal(size=(2, 300, 40)).astype(np.float32)
    np.save(tmp_path / "in.npy", values)
    arguments = ["tile", f"{nets}:planes", str(tmp_path / "in.npy"), "-o", str(tmp_path / "out.npy"), "--json"]
    assert run(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["image"], told["output"], told["exact"]) == ([300, 40], [300, 40], True)
    assert told["measured"]["peak_memory_bytes"] > told["memory"]["tiles_bytes"] > 4 * values.size
    answer = np.load(tmp_path / "out.npy")
    np.testing.assert_allclose(answer, whole(f"{nets}:planes", values[None]), atol=ROUNDING)


def test_a_dry_run_states_memory_and_writes_nothing(
    nets: str, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "large.png"
    assert run(["tile", f"{nets}:larger", str(photo), "-o", str(out), "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["measured"] is None and not out.exists()
    # The answer; a tile, one plane of it and its answer in flight; and one weighted tile.
    assert told["memory"]["tiles_bytes"] == 4 * (3 * 140 * 106 + 4 * 32 * 32 + 2 * 3 * 64 * 64)
    assert told["memory"]["image_bytes"] == 4 * 3 * 70 * 53


@pytest.mark.parametrize(
    ("net", "options", "said"),
    [
        ("larger", ["-o", "answer.jpg"], "has to end in .png"),
        ("larger", ["-o", "answer.png", "--workers", "100000"], "give fewer"),
        ("larger", ["-o", "answer.png", "--workers", "0"], "--workers 0"),
        ("larger", ["-o", "answer.png", "--tile", "4y"], "--tile '4y'"),
        ("larger", ["-o", "answer.png", "--overlap", "32"], "cannot overlap by 32"),
        ("larger", ["-o", "answer.png", "--runtime", "nonsense"], "unknown runtime"),
        ("larger", ["-o", "answer.png", "--color", "gray"], "takes 3 channels, and a picture in gray has 1"),
        ("planes", ["-o", "answer.png"], "takes 2 channels"),
    ],
)
def test_what_cannot_be_done_is_refused(
    nets: str, photo: Path, net: str, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["tile", f"{nets}:{net}", str(photo), *options]) == 2
    assert said in capsys.readouterr().err


def test_a_file_made_for_one_size_takes_tiles_of_no_other(
    nets: str, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mask.pt2"
    assert run(["optimize", f"{nets}:mask", "--out", str(path)]) == 0
    assert run(["tile", str(path), str(photo), "-o", str(tmp_path / "mask.png"), "--tile", "40", "--dry-run"]) == 2
    assert "Leave --tile out" in capsys.readouterr().err


def test_no_picture_is_refused(nets: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tile", f"{nets}:larger", nets, "-o", str(tmp_path / "answer.png")]) == 2
    assert "is not a picture that can be read" in capsys.readouterr().err


def test_an_answer_of_two_channels_is_no_picture(nets: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "in.npy", np.zeros((2, 40, 40), np.float32))
    arguments = ["tile", f"{nets}:planes", str(tmp_path / "in.npy"), "-o", str(tmp_path / "answer.png")]
    assert run(arguments) == 2
    assert "The answer has 2 channels" in capsys.readouterr().err


@pytest.mark.slow
def test_libraries_that_set_themselves_up_at_first_use_run_in_two_threads(
    nets: str, photo: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mask.png"
    assert run(["tile", f"{nets}:mask", str(photo), "-o", str(out), "--runtime", "executorch", "--workers", "2"]) == 0
    expected = whole(f"{nets}:mask", as_input(photo))[0, 0] * 255
    assert np.abs(np.asarray(Image.open(out)) - expected).max() <= 0.5 + 255 * ROUNDING
