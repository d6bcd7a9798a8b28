"""`pocketfit check-preprocess` on a real bundle, with photos made here."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pocketfit.bundle import Contents, write_bundle
from pocketfit.cli.app import run
from pocketfit.contract import Color, Contract, Crop, ShorterSide
from pocketfit.data.preprocess import arithmetic, geometry

SPEC = Contract(resize=ShorterSide(28), crop=Crop((24, 24)), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


@pytest.fixture
def bundle(contents: Contents, tmp_path: Path) -> Path:
    return write_bundle(dataclasses.replace(contents, preprocess=SPEC), tmp_path / "bundle")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(6):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
        coarse.resize((64, 48), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    return folder


def prepared(photos: Path, spec: Contract, target: Path) -> str:
    """What an app with that preprocessing gives its model, in a file."""
    pixels = np.stack([geometry(Image.open(path), spec) for path in sorted(photos.iterdir())])
    np.save(target, arithmetic(pixels, spec))
    return str(target)


def test_an_app_that_prepares_rightly(
    bundle: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = prepared(photos, SPEC, tmp_path / "given.npy")
    assert run(["check-preprocess", str(bundle), "--images", str(photos), "--app-inputs", given]) == 0
    assert "prepares images as the model needs it" in capsys.readouterr().out


def test_channels_in_the_wrong_order_are_named(
    bundle: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = prepared(photos, dataclasses.replace(SPEC, color=Color.BGR), tmp_path / "given.npy")
    arguments = ["check-preprocess", str(bundle), "--images", str(photos), "--app-inputs", given]
    assert run(arguments) == 4
    assert "The app prepares images wrongly: channel-order" in capsys.readouterr().out
    assert run([*arguments, "--json"]) == 4
    found = json.loads(capsys.readouterr().out)
    assert (found["differs"], found["named"]) == (True, "channel-order")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "not both"),
        (["--app-inputs", "a.npy", "--app-outputs", "b.npy"], "not both"),
        (["--app-inputs", "nothing.npy"], "Write it with numpy.save"),
    ],
)
def test_other_options_are_refused(
    bundle: Path, photos: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check-preprocess", str(bundle), "--images", str(photos), *options]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
