import json
from pathlib import Path

import pytest

from pocketfit.cli.app import run

NET = """
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 1))
"""


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    path = tmp_path / "net.py"
    path.write_text(NET)
    return ["sustain", f"{path}:build", "--input", "3x32x32"]


def test_the_table_says_that_it_is_simulated(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, "--device", "oneplus-7t"]) == 0
    text = capsys.readouterr().out
    assert "ncnn int8" in text
    assert "simulated" in text
    assert "assumed of a phone of the high tier" in " ".join(text.split())


def test_json_has_what_the_table_has(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, "--device", "oneplus-7t", "--runtime", "ncnn", "--per-second", "30", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["measured"] is False
    assert found["usage"]["per_second"] == 30
    assert [point["minutes"] for point in found["simulated"][0]["after"]] == [1, 10, 30]
    assert found["simulated"][0]["day"]["battery_percent"] > 0


def test_all_leaves_out_what_nothing_is_known_of(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, "--all", "--json"]) == 0
    devices = [one["prediction"]["device"] for one in json.loads(capsys.readouterr().out)["simulated"]]
    assert len(devices) == len(set(devices)) > 13
    assert "snapdragon-x-elite" not in devices
    assert run([*command, "--device", "snapdragon-x-elite"]) == 2
    assert "laptop" in capsys.readouterr().err


def test_the_page_needs_no_network(command: list[str], tmp_path: Path) -> None:
    page = tmp_path / "heat.html"
    assert run([*command, "--device", "oneplus-7t", "--plot", str(page)]) == 0
    text = page.read_text()
    assert "simulated, not measured" in text
    assert text.count("data-plot=") == 3
    assert "src=" not in text.split("<script>")[0]
