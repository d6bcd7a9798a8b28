"""A real adbd in a private network namespace: the package `adbd` of Debian 13, or POCKETFIT_ADBD="command"."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pocketfit.bundle import Contents, write_bundle
from pocketfit.cli.app import run

DRIVER = Path(__file__).with_name("adb_namespace.py")
PACKAGED = Path("/usr/lib/android-sdk/platform-tools/adbd")
FAKES = {
    "getprop": 'case "$1" in *manufacturer) echo Acme;; *soc.model) echo X1;; *release) echo 15;; *) echo One;; esac',
    "dumpsys": """case "$1" in
thermalservice) echo 'Thermal Status: 1
Current temperatures from HAL:
	Temperature{mValue=31.5, mType=3, mName=skin, mStatus=1}';;
battery) echo '  USB powered: true
  level: 80
  temperature: 305';;
esac""",
}
# What a phone would have as a program of its own: here the same runtime, in Python.
PROGRAM = """#!{python}
import sys, time
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
for _ in range(int(sys.argv[3])):
    start = time.perf_counter()
    session.run(None, {{"image": np.zeros((1, 1, 4, 4), np.float32)}})
    print(f"{{1000 * (time.perf_counter() - start):.6f}}")
"""


def adbd() -> str:
    found = os.environ.get("POCKETFIT_ADBD") or shutil.which("adbd") or (str(PACKAGED) if PACKAGED.exists() else None)
    if found is None:
        pytest.skip("adbd is not installed: Debian's package adbd, or POCKETFIT_ADBD=command")
    return found


@pytest.fixture
def bundle(contents: Contents, tmp_path: Path) -> Path:
    write_bundle(contents, tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def over_adb(bundle: Path, tmp_path: Path) -> Any:
    """Run `pocketfit measure` with --adb in a namespace of its own."""
    daemon = adbd()
    pytest.importorskip("adbutils", reason="adbutils is not installed: pip install 'pocketfit[adb]'")
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode:
        pytest.skip("this system forbids private network namespaces")
    fakes = tmp_path / "fakes"
    fakes.mkdir()
    for name, script in FAKES.items():
        (fakes / name).write_text(f"#!/bin/sh\n{script}\n")
        (fakes / name).chmod(0o755)

    def over_adb(program: str, *options: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "program").write_text(program)
        line = ["measure", str(bundle), f"--runner=onnxruntime={tmp_path / 'program'}", f"--folder={tmp_path}"]
        command = ["unshare", "-rn", sys.executable, str(DRIVER), daemon, str(fakes), *line, *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    return over_adb


def test_this_host_is_a_place_to_measure(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["measure", str(bundle), "--runs", "5", "--minutes", "0.02", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["measured"]
    assert [one["precision"] for one in found] == ["float32", "int8"]
    assert all(one["rounds"][0]["statistic"] == "median" and one["rounds"][0]["runs"] >= 5 for one in found)
    assert all(one["rounds"][-1]["seconds"] >= 1.2 for one in found)  # 0.02 minutes, in rounds


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--runner", "onnxruntime=no-such-file"], "RUNTIME=PROGRAM"),
        (["--adb", "any"], "--runner"),
        (["--threads", "0"], "counts"),
        (["--runtimes", "ncnn"], "It has: onnxruntime"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    bundle: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["measure", str(bundle), *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_a_phone_is_measured_over_adb_and_left_clean(over_adb: Any, tmp_path: Path) -> None:
    done = over_adb(PROGRAM.format(python=sys.executable), "--adb=any", "--threads=1,2", "--runs=7", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["measured"]
    assert [(one["precision"], one["threads"]) for one in found] == [
        ("float32", 1),
        ("float32", 2),
        ("int8", 1),
        ("int8", 2),
    ]
    assert all(one["rounds"][0]["runs"] == 7 and one["rounds"][0]["ms"] > 0 for one in found)
    assert found[0]["where"] == "Acme One, X1, Android 15, over adb"
    assert found[0]["before"]["thermal_status"] == 1
    assert found[0]["after"] | {"clusters": []} == {
        "clusters": [],
        "thermal_status": 1,
        "skin_c": 31.5,
        "battery_percent": 80,
        "battery_c": 30.5,
        "charging": True,
    }
    assert not list(tmp_path.glob("pocketfit-*"))


@pytest.mark.slow
def test_a_program_that_fails_on_the_phone_is_told(over_adb: Any, tmp_path: Path) -> None:
    done = over_adb("#!/bin/sh\necho 'no such model' >&2\nexit 3\n", "--adb=any")
    assert done.returncode == 1
    assert "ended with 3" in done.stderr
    assert "no such model" in done.stderr
    assert not list(tmp_path.glob("pocketfit-*"))


@pytest.mark.slow
def test_a_phone_that_is_not_there_is_refused(over_adb: Any) -> None:
    done = over_adb("#!/bin/sh\n", "--adb=elsewhere")
    assert done.returncode == 2
    assert "There are: 127.0.0.1:" in done.stderr
