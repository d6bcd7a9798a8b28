"""`pocketfit prune` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pocketfit.cli.app import run

NET = """
from torch import nn

def build():
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    )
    net.input_shape = (1, 8, 8)
    return net
"""


@pytest.fixture
def net(tmp_path: Path) -> str:
    path = tmp_path / "net.py"
    path.write_text(NET)
    return f"{path}:build"


def test_it_writes_a_smaller_model_and_says_what_was_lost(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "pruned.pt2"
    line = ["prune", net, "--data=digits", "--macs=0.6", "--samples=64", "--no-measure", f"--out={out}", "--json"]
    assert run(line) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["after"]["macs"] <= 0.6 * told["before"]["macs"]
    assert told["after"]["parameters"] < told["before"]["parameters"]
    assert told["accuracy"]["samples"] > 500
    assert {layer["after"] % 8 for layer in told["channels"]} == {0}
    assert torch.export.load(out).module()(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_a_dry_run_writes_nothing_and_shows_the_layers(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "pruned.pt2"
    assert run(["prune", net, "--macs=0.6", "--importance=l2", "--dry-run", f"--out={out}"]) == 0
    printed = capsys.readouterr().out
    assert "MACs" in printed
    assert "Wrote" not in printed
    assert not out.exists()


def test_weights_are_zeroed_by_a_pattern(net: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prune", net, "--pattern=2:4", "--no-measure", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [layer["zeros"] / layer["weights"] for layer in told["sparse"]] == [0.0, 0.5, 0.5]
    assert told["after"]["macs"] == told["before"]["macs"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--macs=0.5", "--sparsity=0.5"), "--macs removes channels"),
        (("--pattern=2",), "N:M"),
        (("--importance=magic",), "Allowed: obs"),
        (("--importance=obs",), "Give --data"),
        (("--macs=1.5",), "above 0 and below 1"),
        (("--macs=0.001",), "cannot be reached"),
        (("--out=there.pth",), ".pt2"),
        (("--scope=some",), "Allowed: layer, global"),
    ],
)
def test_what_cannot_be_done_is_refused(
    net: str, options: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["prune", net, "--no-measure", *options]) == 2
    assert said in capsys.readouterr().err


def test_a_predicted_latency_is_a_budget(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Of larger images: a small one costs the same on a phone whatever the number of channels.
    (tmp_path / "wide.py").write_text(NET.replace("(1, 8, 8)", "(1, 96, 96)").replace("16", "48"))
    line = ["prune", f"{tmp_path / 'wide.py'}:build", "--no-measure", "--round-to=1", "--json"]
    assert run([*line, "--latency=100ms@xiaomi-mi-11"]) == 2
    now = float(capsys.readouterr().err.split("predicted to take ")[1].split(" ms")[0])
    assert run([*line, f"--latency={0.9 * now}ms@xiaomi-mi-11"]) == 0
    told = json.loads(capsys.readouterr().out)["predicted"]
    assert told["after"]["ms"] <= 0.9 * now
    assert told["after"]["low_ms"] < told["after"]["ms"] < told["after"]["high_ms"]
    for words in (["--latency=1ms"], ["--latency=1ms@xiaomi-mi-11", "--macs=0.5"]):
        assert run([*line, *words]) == 2


def test_an_npu_is_left_as_many_channels_as_it_multiplies_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wide.py").write_text(NET.replace("(1, 8, 8)", "(1, 96, 96)").replace("16", "160"))
    line = ["prune", f"{tmp_path / 'wide.py'}:build", "--no-measure", "--json"]
    assert run(["predict", line[1], "--device=samsung-galaxy-s25", "--json"]) == 0
    now = min(one["latency"]["ms"] for one in json.loads(capsys.readouterr().out)["predicted"])

    def left(*more: str) -> list[int]:
        assert run([*line, f"--latency={0.8 * now}ms@samsung-galaxy-s25", *more]) == 0
        return [group["after"] for group in json.loads(capsys.readouterr().out)["channels"]]

    by_default = left()
    assert by_default == left("--round-to=32") != left("--round-to=8")
    assert all(channels % 32 == 0 for channels in by_default)
