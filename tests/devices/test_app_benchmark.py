"""The benchmark of a generated Android app, as its Kotlin writes it."""

import json
from pathlib import Path

import pytest

from pocketfit.cli.app import run
from pocketfit.devices.measure.app_benchmark import read_benchmark
from pocketfit.devices.measure.place import Condition, Round
from pocketfit.errors import InputError

COOL = {"thermal_status": 0, "battery_percent": 80, "battery_c": 31.5, "charging": True}
SILENT = {"thermal_status": None, "battery_percent": None, "battery_c": None, "charging": None}


def written(path: Path, **changes: object) -> Path:
    one = {
        "runtime": "litert",
        "precision": "int8",
        "device": "gpu",
        "threads": 4,
        "before": COOL,
        "after": SILENT,
        "rounds": [
            {"seconds": 1.5, "ms": 4.0, "runs": 50, "statistic": "median"},
            {"seconds": 3.0, "ms": 5.0, "runs": 50, "statistic": "median"},
        ],
    }
    told = {
        "format": "pocketfit-benchmark",
        "version": 1,
        "where": "a phone",
        "measured": [one, one | {"device": "cpu", "threads": 1}],
        "failed": ["ncnn int8, cpu, 1 threads: no library"],
    }
    path.write_text(json.dumps(told | changes))
    return path


def test_it_is_read(tmp_path: Path) -> None:
    found = read_benchmark(written(tmp_path / "told.json"))
    gpu, cpu = found.measured
    assert (gpu.where, gpu.device, cpu.device, gpu.threads) == ("a phone", "gpu", "cpu", 4)
    assert gpu.rounds == ((1.5, Round(4.0, 50, "median")), (3.0, Round(5.0, 50, "median")))
    assert gpu.before == Condition(thermal_status=0, battery_percent=80, battery_c=31.5, charging=True)
    assert gpu.after == Condition()
    assert found.failed == ("ncnn int8, cpu, 1 threads: no library",)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"format": "other"}, "its format is 'other'"),
        ({"version": 2}, "has version 2; this Pocketfit reads 1"),
        ({"measured": [{"runtime": "litert"}]}, "KeyError"),
        ({"measured": "none"}, "TypeError"),
    ],
    ids=["format", "version", "missing", "kind"],
)
def test_another_file_is_refused(tmp_path: Path, changes: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_benchmark(written(tmp_path / "told.json", **changes))


@pytest.mark.parametrize("text", ["", "[]", "null", "\x00"])
def test_what_is_no_such_json_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "told.json"
    path.write_text(text)
    with pytest.raises(InputError, match="not what an app's benchmark writes"):
        read_benchmark(path)


def test_the_verb_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "told.json")
    assert run(["measure", "--benchmark", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "litert int8 on gpu" in shown
    assert "Measured on a phone." in shown
    assert "not measured: ncnn int8, cpu, 1 threads: no library" in shown
    assert run(["measure", "--benchmark", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["measured"][0]["device"] == "gpu"


def test_the_verb_wants_a_bundle_or_a_benchmark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["measure"]) == 2
    assert "Give the folder of a bundle" in capsys.readouterr().err
    assert run(["measure", "--benchmark", str(tmp_path / "none.json")]) == 2
    assert "There is no" in capsys.readouterr().err
