"""A run that is killed at any moment and started again ends with the bundle of a run that nobody disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from pocketfit.bundle import Outcome, read_bundle, verify_bundle

# Where the tests themselves run in the background, Ctrl-C would be ignored.
CODE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from pocketfit.cli.app import run
raise SystemExit(run(sys.argv[1:]))
"""
# Far longer than any stage of this network takes, even on a busy machine.
PATIENCE_S = 240

Command = list[str]
pytestmark = pytest.mark.slow


@pytest.fixture
def command(net, tmp_path: Path) -> Callable[[str], Command]:
    """The command line of a run in a folder of its own."""

    def command(name: str, *extra: str) -> Command:
        folder = tmp_path / name
        line = ["fit", net.model, f"--weights={net.weights}", "--data=digits", "--keep-all", "--evaluation-samples=200"]
        line += ["--targets=onnxruntime,ncnn", "--precisions=float32,int8", "--max-drop=5%"]
        return [sys.executable, "-c", CODE, *line, f"--cache={folder / 'cache'}", f"--out={folder / 'out'}", *extra]

    return command


@contextmanager
def running(command: Command, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, which is gone afterwards."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | environment
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(folder: Path, pattern: str, process: subprocess.Popen[str]) -> None:
    """Wait until something in the folder matches the pattern."""
    deadline = time.monotonic() + PATIENCE_S
    while not any(folder.glob(pattern)):
        assert process.poll() is None, f"the run ended before {pattern} was there:\n{process.communicate()[0]}"
        assert time.monotonic() < deadline, f"{pattern} never came"
        time.sleep(0.01)


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert alive == []


def finish(command: Command) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return done.stderr


def digests(bundle: Path) -> dict[str, str]:
    """Of every file but the report, which holds times."""
    files = read_bundle(bundle).manifest.files
    return {name: entry.sha256 for name, entry in files.items() if name != "report.html"}


def test_a_run_killed_again_and_again_ends_with_the_same_bundle(
    command: Callable[[str], Command], tmp_path: Path
) -> None:
    killed, folder = command("killed"), tmp_path / "killed"
    # In the order of the stages: while samples are observed, while two converters run, while an artifact is timed, and
    # while the bundle is put together beside its destination.
    moments = (
        "cache/calibrate/.unfinished*",
        "cache/convert/.unfinished*/convert.log",
        "cache/measure/.unfinished*/measure.log",
        ".out.*.partial",
    )
    for moment in moments:
        # A killed process leaves its scratch files, which are not to pile up on the machine of the tests.
        with running(killed, TMPDIR=str(tmp_path)) as process:
            wait_for(folder, moment, process)
            children = family(process)
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert_gone(children)
        assert not (folder / "out").exists()
    said = finish(killed)
    stages = {line.rsplit(maxsplit=1)[0].strip() for line in said.splitlines() if line.rstrip().endswith("stored")}
    assert {"calibrate", "plan", "convert onnxruntime int8", "convert ncnn int8", "run ncnn int8"} <= stages
    assert {path.name for path in folder.iterdir()} == {"cache", "out"}  # what the last kill left is cleared away
    assert not list((folder / "cache").glob("*/.unfinished*"))

    finish(command("undisturbed"))
    expected = digests(tmp_path / "undisturbed" / "out")
    assert digests(folder / "out") == expected
    assert {name.split("/")[0] for name in expected} >= {"onnxruntime", "ncnn", "plans", "golden"}
    checks = verify_bundle(folder / "out").checks
    assert [check.outcome for check in checks] == [Outcome.PASSED] * 4


SLEEPER = """
import os, subprocess, sys, time
from pocketfit.types import Precision, RuntimeInfo, Scheme

class Sleeper:
    info = RuntimeInfo("sleeper", "Sleeper", "", (), ".bin", (Precision.FLOAT32,), Scheme.AFFINE, ("linux",))

    def convert(self, variant, out):
        # As a converter that calls a program of its own.
        subprocess.run([sys.executable, "-c", "import time; time.sleep(3600)"])

    def open(self, artifact, *, threads=1):
        raise NotImplementedError
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed packages with a runtime that takes an hour."""
    info = tmp_path / "site" / "sleeper-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sleeper\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pocketfit.runtimes]\nsleeper = sleeper:Sleeper\n")
    (tmp_path / "site" / "sleeper.py").write_text(SLEEPER)
    return tmp_path / "site"


def test_ctrl_c_does_not_wait_for_a_converter(command: Callable[..., Command], site: Path, tmp_path: Path) -> None:
    line = command("interrupted", "--targets=sleeper", "--precisions=float32")
    folder = tmp_path / "interrupted"
    with running(line, PYTHONPATH=str(site)) as process:
        wait_for(folder, "cache/convert/.unfinished*/convert.log", process)
        while not any("sleep(3600)" in " ".join(child.cmdline()) for child in family(process)):
            assert process.poll() is None
            time.sleep(0.05)
        children = family(process)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "Stored stages are kept; run the same command again to continue." in said
    assert_gone(children)
    assert not (folder / "out").exists()
    assert not list((folder / "cache").glob("*/.unfinished*"))
    assert list((folder / "cache" / "simulate").iterdir())
