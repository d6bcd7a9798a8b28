import json
from pathlib import Path

import pytest

from pocketfit.cli.app import run
from pocketfit.cli.checks import Check
from pocketfit.cli.checks import host as host_checks
from pocketfit.runtimes import BUILT_IN

NET = """
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 10))
"""


@pytest.fixture
def net(tmp_path: Path) -> str:
    path = tmp_path / "net.py"
    path.write_text(NET)
    return f"{path}:build"


def test_inspect_shows_layers_and_totals(net: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", net, "--input", "3x4x4"]) == 0
    text = capsys.readouterr().out
    assert "conv2d" in text
    assert "relu" not in text.split("2 more ops")[0]
    assert "1,514 (6.06 kB in float32)" in text
    assert "4,736" in text


def test_inspect_shows_every_op_when_asked(net: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", net, "--input", "3x4x4", "--all"]) == 0
    assert "relu" in capsys.readouterr().out


def test_inspect_as_json(net: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", net, "--input", "3x4x4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["macs"] == 8 * 27 * 16 + 1280
    assert [layer["op"] for layer in found["layers"]] == ["conv2d", "relu", "flatten", "linear"]


@pytest.mark.parametrize("arguments", [["--input", "wide"], []])
def test_inspect_refuses_what_it_cannot_use(net: str, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", net, *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "--input" in printed.err


def test_runtimes_lists_every_runtime(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runtimes"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in BUILT_IN)


def test_runtimes_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runtimes", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows)[: len(BUILT_IN)] == list(BUILT_IN)
    assert rows["onnxruntime"]["installed"]
    assert rows["onnxruntime"]["versions"]["onnxruntime"]
    assert rows["ncnn"]["scheme"] == "symmetric"


def test_doctor_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    run(["doctor", "--json"])
    checks = json.loads(capsys.readouterr().out)
    assert {check["state"] for check in checks} <= {"ok", "warning", "problem"}
    assert {"Python", "torch", "cache"} <= {check["name"] for check in checks}


@pytest.mark.parametrize(("state", "code"), [("warning", 0), ("problem", 1)])
def test_doctor_ends_with_1_only_for_a_problem(
    state: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finding = Check("disk", "0 GB free", state, "Nothing can be stored.", "Free some space.")  # type: ignore[arg-type]
    monkeypatch.setattr(host_checks, "all_checks", lambda: (finding,))
    assert run(["doctor"]) == code
    assert f"{state}: disk: Nothing can be stored. Free some space." in capsys.readouterr().out
