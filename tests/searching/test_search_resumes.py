"""A search that is killed goes on where it was, and what it had found by then is a finished bundle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pocketfit.bundle import Outcome, verify_bundle

CODE = "import sys; from pocketfit.cli.app import run; raise SystemExit(run(sys.argv[1:]))"
# Far longer than a candidate of this network takes, even on a busy machine.
PATIENCE_S = 300

pytestmark = pytest.mark.slow


@pytest.fixture
def command(net, tmp_path: Path) -> list[str]:
    line = ["fit", net.model, f"--weights={net.weights}", "--data=digits", "--strategy=search", "--max-drop=5%"]
    line += ["--targets=onnxruntime", "--evaluation-samples=450", "--trials=4", "--json"]
    return [sys.executable, "-c", CODE, *line, f"--cache={tmp_path / 'cache'}", f"--out={tmp_path / 'out'}"]


def test_killed_and_started_again(command: list[str], tmp_path: Path) -> None:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not (tmp_path / "out" / "manifest.json").exists():
            assert process.poll() is None, "the search ended before it had found anything"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        workers = psutil.Process(process.pid).children(recursive=True)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert alive == []
    # What was there at that moment is whole.
    assert {one.outcome for one in verify_bundle(tmp_path / "out").checks} == {Outcome.PASSED}
    first = json.loads((tmp_path / "out.search" / "front.json").read_text())

    again = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)

    assert again.returncode == 0, again.stderr
    assert "taken up with" in again.stderr
    told = json.loads(again.stdout)
    assert len(told["outcomes"]) == 4
    assert first[0] in told["outcomes"]  # known, not done again
    assert told["best"] in told["front"]
    assert {one.outcome for one in verify_bundle(tmp_path / "out").checks} == {Outcome.PASSED}
    assert "What the search has found" in (tmp_path / "out" / "report.html").read_text()
