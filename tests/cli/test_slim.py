"""`pocketfit slim` on the digits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from pocketfit.cli.app import app
from pocketfit.cli.app import run as main
from pocketfit.contract import Contract, Crop, ShorterSide
from pocketfit.data.load import load_for
from pocketfit.models.load import load_model
from pocketfit.models.store import write_program

NET = """
from torch import nn

class Net(nn.Module):
    input_shape = (1, 8, 8)

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 32, 3, padding=1), nn.Conv2d(32, 32, 3, padding=1)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu().mean((2, 3)))

def build():
    return Net()
"""


@pytest.fixture
def net(tmp_path: Path) -> str:
    (tmp_path / "slim_net.py").write_text(NET)
    return f"{tmp_path / 'slim_net.py'}:build"


def run(*arguments: str, cache: Path) -> dict:
    result = CliRunner().invoke(app, ["slim", *arguments, "--json", "--no-measure", "--cache", str(cache)])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize("form", ["low-rank", "separable"])
def test_the_file_is_plain_torch_and_answers_nearly_alike(net: str, form: str, tmp_path: Path) -> None:
    out = tmp_path / "slim.pt2"
    told = run(net, "--form", form, "--data", "digits", "-o", str(out), cache=tmp_path)
    assert [layer["name"] for layer in told["rewritten"]][-1] == "second"
    assert told["after"]["macs"] < 0.6 * told["before"]["macs"]
    assert told["accuracy"]["samples"] > 100
    program = torch.export.load(out)
    assert program.module()(torch.rand(3, 1, 8, 8)).shape == (3, 10)


def test_a_dry_run_writes_nothing(net: str, tmp_path: Path) -> None:
    told = run(net, "--dry-run", "-o", str(tmp_path / "slim.pt2"), cache=tmp_path)
    assert told["rewritten"]
    assert not (tmp_path / "slim.pt2").exists()


def test_a_form_that_there_is_not(net: str) -> None:
    result = CliRunner().invoke(app, ["slim", net, "--form", "round"])
    assert result.exit_code != 0


def test_a_separable_model_is_distilled_back(net: str, tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    line = ["--form", "separable", "--data", "digits", "--samples", "64"]
    trained, plain = (run(net, *line, *more, cache=tmp_path) for more in (["--train", "20"], []))
    # Labels are random to an untrained network; what can be learnt is to answer as it does.
    assert trained["accuracy"]["agreement"] >= plain["accuracy"]["agreement"]


def test_a_width(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def build():\n"
        "    convolutions = nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 16, 3)\n"
        "    net = nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(256, 4))\n"
        "    net.input_shape = (3, 8, 8)\n"
        "    return net\n"
    )
    command = ["slim", f"{tmp_path / 'net.py'}:build", "--form", "width", "--width", "0.5", "--no-measure", "--json"]
    told = json.loads(CliRunner().invoke(app, command).stdout)
    assert [(one["before"], one["after"]) for one in told["channels"]] == [(32, 16), (16, 8)]


PICTURES = """
import torch
from torch import nn
from pocketfit.contract import Contract, Crop, ShorterSide

class Net(nn.Module):
    input_shape = (3, 32, 32)
    preprocess = Contract(resize=ShorterSide(36), crop=Crop((32, 32)), mean=(0.5,), std=(0.5,))

    def __init__(self, head):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, 2, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.head = head

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu())

def pooled():
    return Net(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3)))

def flat():
    return Net(nn.Sequential(nn.Flatten(), nn.Linear(16 * 16 * 16, 3)))
"""


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A module of two networks, and beside it a folder of images in three classes."""
    generator = np.random.default_rng(0)
    for number, name in enumerate("abc"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(16):
            pixels = generator.integers(0, 120 + 60 * number, (40, 48, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{index}.png")
    (tmp_path / "pictures_net.py").write_text(PICTURES)
    return tmp_path


@pytest.mark.parametrize("source", ["factory", "file"])
def test_a_model_for_smaller_images_says_how_they_are_prepared(pictures: Path, source: str) -> None:
    model, out = f"{pictures / 'pictures_net.py'}:pooled", pictures / "small.pt2"
    if source == "file":
        write_program(load_model(model), pictures / "own.pt2")
        model = str(pictures / "own.pt2")
    photos = str(pictures / "photos")
    told = run(model, "--resolution", "24", "--data", photos, "--samples", "8", "-o", str(out), cache=pictures)
    assert (told["resized"]["before"], told["resized"]["after"]) == ([3, 32, 32], [3, 24, 24])
    assert told["after"]["parameters"] == told["before"]["parameters"]
    # The strides divide both sizes, and only the linear layer does not see all places.
    assert told["after"]["macs"] - 48 == (told["before"]["macs"] - 48) * 9 // 16
    assert told["accuracy"]["samples"] == 40
    small = load_model(str(out))
    assert small.input.shape == (1, 3, 24, 24)
    assert small.preprocess == Contract(resize=ShorterSide(27), crop=Crop((24, 24)), mean=(0.5,), std=(0.5,))
    # Without a word of preprocessing, as `fit` reads data for it.
    read = load_for(small, photos, preprocess=small.preprocess, cache=pictures / "images", calibration=8)
    assert read.evaluation.inputs.shape == (40, 24, 24, 3)


@pytest.mark.parametrize("features", [[], ["--features", "attention"]])
def test_it_learns_from_the_model_that_sees_more(pictures: Path, features: list[str]) -> None:
    pytest.importorskip("accelerate")
    model, photos = f"{pictures / 'pictures_net.py'}:pooled", str(pictures / "photos")
    line = [model, "--resolution", "16", "--data", photos, "--samples", "24"]
    trained, plain = (run(*line, *more, cache=pictures) for more in (["--train", "20", *features], []))
    assert trained["accuracy"]["agreement"] >= plain["accuracy"]["agreement"]


@pytest.mark.parametrize(
    ("network", "options", "said"),
    [
        ("flat", ["--resolution", "24"], "cannot take 3x24x24"),
        ("pooled", ["--resolution", "32"], "not smaller than the 3x32x32"),
        ("pooled", ["--resolution", "16x40"], "not smaller"),
        ("pooled", ["--resolution", "few"], "--resolution 'few' is not allowed"),
        ("pooled", ["--form", "resolution"], "Give --resolution"),
        ("pooled", ["--form", "width", "--resolution", "24"], "do not go together"),
        ("pooled", ["--features", "hint"], "Give --train"),
        ("pooled", ["--resolution", "24", "--data", "numbers.npz"], "not images to make others of"),
        ("pooled", ["--resolution", "24", "--train", "1"], "Give --data"),
    ],
)
def test_what_cannot_be_had_in_another_size_is_refused(
    pictures: Path,
    network: str,
    options: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(pictures)
    np.savez("numbers.npz", x=np.zeros((20, 3, 32, 32), np.float32), y=np.arange(20) % 3)
    assert main(["slim", f"pictures_net.py:{network}", *options, "-o", "small.pt2", "--cache", "cache"]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not Path("small.pt2").exists()
