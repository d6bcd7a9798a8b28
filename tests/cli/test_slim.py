"""`pocketfit slim` on the digits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from pocketfit.cli.app import app

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
