"""`pocketfit optimize` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pocketfit.cli.app import run
from pocketfit.graph.replacements import REPLACEMENTS

NET = """
import torch
from torch import nn


class Net(nn.Module):
    input_shape = (3, 8, 8)

    def __init__(self):
        super().__init__()
        self.one, self.norm, self.two = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        return self.two(self.norm(self.one(x)))


def build():
    return Net()
"""


@pytest.fixture
def net(tmp_path: Path) -> str:
    path = tmp_path / "net.py"
    path.write_text(NET)
    return f"{path}:build"


def test_what_the_passes_did_is_shown(net: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["optimize", net]) == 0
    rows = {words[0]: words[1:] for line in capsys.readouterr().out.splitlines() if (words := line.split())}
    assert rows["fold-batch-norm"] == ["1"]
    assert rows["merge-pointwise"] == ["1"]
    assert rows["conv2d"] == ["2", "1"]
    assert rows["all"] == ["ops", "3", "1"]


def test_the_optimised_model_is_written(net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "smaller.pt2"
    assert run(["optimize", net, "--out", str(out), "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert run(["optimize", str(out), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["before"] == again["after"] == first["after"]


@pytest.mark.parametrize("name", ["model.onnx", "there/is/no/folder.pt2"])
def test_where_it_cannot_be_written_nothing_is_done(
    net: str, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["optimize", net, "--out", str(tmp_path / name)]) == 2
    assert "--out" in capsys.readouterr().err


def test_replacing_says_what_it_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "net.py", tmp_path / "replaced.pt2"
    path.write_text(NET.replace("self.norm(self.one(x))", "nn.functional.silu(self.one(x))"))
    assert run(["optimize", f"{path}:build", "--replace", "silu,hardswish", "--out", str(out), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["replaced"]
    assert [(row["name"], row["count"]) for row in rows] == [("silu", 1), ("hardswish", 0), ("all of them", 2)]
    assert 0 < rows[-1]["rms"] < rows[-1]["largest"] < 0.1
    assert run(["optimize", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["after"]["by_op"]["relu6"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--replace", "swish"], "'swish' is no replacement"),
        (["--replace", "bicubic"], "has none of these ops"),
        (["--data", "digits"], "Give --replace"),
    ],
)
def test_what_cannot_be_replaced_is_refused(
    net: str, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["optimize", net, *arguments]) == 2
    assert said in capsys.readouterr().err


def test_help_and_documentation_list_every_replacement(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["optimize", "--help"]) == 0
    printed = capsys.readouterr().out
    page = (Path(__file__).parents[2] / "docs" / "passes.md").read_text()
    for one in REPLACEMENTS:
        assert one.name in printed and one.name in page
