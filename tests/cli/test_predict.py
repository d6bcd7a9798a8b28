import json
from pathlib import Path

import pytest

from pocketfit.cli.app import run

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 1), nn.Linear(8, 5)

    def forward(self, x):
        return self.head(self.two(torch.relu(self.one(x))).mean((2, 3)))
"""
CALIBRATE = ["devices", "calibrate", "--like", "oneplus-7t"]
MEASURED = ("benchncnn:mobilenet_v2=19.6", "benchncnn:resnet18=44.2", "benchncnn:googlenet=64.3")


@pytest.fixture
def net(tmp_path: Path) -> list[str]:
    path = tmp_path / "net.py"
    path.write_text(NET)
    return [f"{path}:Net", "--input", "3x32x32"]


def latencies(net: list[str], capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, object]]:
    assert run(["predict", *net, *options, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["measured"] is False
    return list(found["predicted"])


def test_every_way_of_a_device_is_predicted(net: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", *net, "--device", "oneplus-7t"]) == 0
    text = capsys.readouterr().out
    assert "predicted" in text
    assert "CPU, 4 threads" in text
    assert "All figures are predicted" in text


def test_all_shows_each_device_once(net: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    devices = [one["device"] for one in latencies(net, capsys, "--all")]
    assert len(devices) == len(set(devices)) > 13


def test_runtime_and_precision_narrow_it(net: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--all", "--runtime", "ncnn", "--precision", "int8")
    assert {(one["runtime"], one["precision"]) for one in latencies(net, capsys, *options)} == {("ncnn", "int8")}


def test_threads_are_a_count_or_chosen(net: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    phone = ("--device", "oneplus-7t", "--runtime", "ncnn")
    two = [one for one in latencies(net, capsys, *phone, "--threads", "2") if one["processor"] == "cpu"]
    assert {one["threads"] for one in two} == {2}
    chosen = latencies(net, capsys, *phone, "--threads", "auto")
    ways = [(one["precision"], one["processor"]) for one in chosen]
    assert len(ways) == len(set(ways)) == 3
    assert run(["predict", *net, *phone, "--threads", "many"]) == 2
    assert "Give a number, or auto" in capsys.readouterr().err


def test_a_latency_on_another_npu_is_taken_over(net: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    way = ("--device", "samsung-galaxy-s24", "--runtime", "litert", "--precision", "int8")
    (one,) = latencies(net, capsys, *way, "--seen", "samsung-galaxy-s24/litert/int8=0.5")
    assert one["latency"]["ms"] == pytest.approx(0.5)  # type: ignore[index]
    assert run(["predict", *net, *way, "--seen", "samsung-galaxy-s24=0.5"]) == 2
    assert "DEVICE/RUNTIME/PRECISION=MS" in capsys.readouterr().err


def test_layers_share_the_latency(net: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", *net, "--device", "oneplus-7t", "--layers", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["op"] for one in found["layers"]] == ["conv2d", "conv2d", "mean", "linear"]
    assert sum(one["share"] for one in found["layers"]) == pytest.approx(1)
    assert sum(one["ms"] for one in found["layers"]) == pytest.approx(found["predicted"][0]["latency"]["ms"])
    assert run(["predict", *net, "--device", "oneplus-7t", "--layers"]) == 0
    assert "head" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--device"),
        (["--device", "oneplus-7t", "--all"], "--device"),
        (["--device", "nokia-3310"], "nokia-3310"),
        (["--device", "oneplus-7t", "--runtime", "coreml"], "coreml"),
    ],
    ids=["none", "both", "unknown", "runtime"],
)
def test_what_cannot_be_predicted_is_refused(
    net: list[str], options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["predict", *net, *options]) == 2
    assert message in capsys.readouterr().err


def test_devices_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["devices"]) == 0
    assert "oneplus-7t" in capsys.readouterr().out
    assert run(["devices", "show", "oneplus-7t"]) == 0
    text = capsys.readouterr().out
    assert "Cortex-A76" in text
    assert "source: Tencent/ncnn" in text
    assert run(["devices", "--json"]) == 0
    assert "oneplus-7t" in {one["name"] for one in json.loads(capsys.readouterr().out)}
    assert run(["devices", "show", "samsung-galaxy-s25"]) == 0
    assert "NPUs most alike" in capsys.readouterr().out
    assert run(["devices", "show", "oneplus-7t", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tier"] == "high"


def test_three_measurements_make_a_profile(net: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "my phone.json"
    options = [word for one in MEASURED for word in ("--measured", one)]
    assert run([*CALIBRATE, *options, "-o", str(mine)]) == 0
    assert "Wrote" in capsys.readouterr().out
    (ours, *_), theirs = latencies(net, capsys, "--device", str(mine)), latencies(net, capsys, "--device", "oneplus-7t")
    assert ours["device"] == "my-phone"
    assert len(theirs) > 1


def test_measurements_come_from_a_file_as_well(tmp_path: Path, net: list[str]) -> None:
    file, mine = tmp_path / "measured.csv", tmp_path / "mine.json"
    file.write_text("model,ms\n" + "".join(one.replace("=", ",") + "\n" for one in MEASURED))
    assert run([*CALIBRATE, "--csv", str(file), "--measured", f"{net[0]}=0.4", *net[1:], "-o", str(mine)]) == 0
    assert len(json.loads(mine.read_text())["targets"][0]["measurements"]) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--measured", "benchncnn:resnet18=20"], "1 measurement cannot"),
        (["--measured", "20"], "MODEL=MS"),
        (["--measured", "benchncnn:resnet18=fast"], "no latency"),
        (["--measured", "benchncnn:resnet18=-3"], "no latency"),
        (["--csv", "nowhere.csv"], "nowhere.csv"),
        (["--threads", "3", "--measured", "benchncnn:resnet18=20"], "3 threads"),
    ],
    ids=["few", "no model", "word", "negative", "no file", "threads"],
)
def test_what_cannot_calibrate_is_refused(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*CALIBRATE, *options, "-o", str(tmp_path / "mine.json")]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
