"""The whole job with the network cut off: nothing is installed, downloaded or sent anywhere at run time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pocketfit.bundle import read_bundle
from pocketfit.runtimes import BUILT_IN, get_runtime, is_installed, runs_here

pytestmark = pytest.mark.slow

# Imported by every Python that starts, children included: tells of each address that anything written in Python asks
# for. What native code asks for is stopped by the namespace without a network.
GUARD = """
import os, socket

def _told(self, address, _connect=socket.socket.connect):
    if self.family in (socket.AF_INET, socket.AF_INET6):
        with open(os.environ["ASKED"], "a") as file:
            file.write(f"{address}\\n")
    return _connect(self, address)

def _looked_up(host, *rest, _ask=socket.getaddrinfo, **more):
    with open(os.environ["ASKED"], "a") as file:
        file.write(f"{host}\\n")
    return _ask(host, *rest, **more)

socket.socket.connect = _told
socket.getaddrinfo = _looked_up
"""

CUT_OFF = ("unshare", "--user", "--map-root-user", "--net")


def _cut_off() -> tuple[str, ...]:
    """The command that runs another without a network."""
    if shutil.which("unshare") is None or subprocess.run([*CUT_OFF, "true"], capture_output=True).returncode:
        pytest.skip("this host does not let a process give up its network")
    return CUT_OFF


def test_a_whole_run_needs_no_network(net: Any, tmp_path: Path) -> None:
    """Every runtime that is installed, in its narrowest precision, and the check of the bundle afterwards."""
    guard = tmp_path / "guard"
    guard.mkdir()
    (guard / "sitecustomize.py").write_text(GUARD)
    asked, bundle = tmp_path / "asked", tmp_path / "bundle"
    path = os.pathsep.join([str(guard), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path, "ASKED": str(asked), "POCKETFIT_CACHE": str(tmp_path / "cache")}
    fit = ["fit", net.model, "--weights", str(net.weights), "--data", "digits", "--precisions", "int8", "--keep-all"]
    for words in ([*fit, "--out", str(bundle)], ["verify", str(bundle)]):
        command = [*_cut_off(), sys.executable, "-c", "from pocketfit.cli.app import main; main()", *words]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert not asked.exists(), asked.read_text()
    packed = {entry.runtime for entry in read_bundle(bundle).manifest.artifacts}
    assert packed == {name for name in BUILT_IN if _runs(name)}


def _runs(name: str) -> bool:
    runtime = get_runtime(name)
    return is_installed(runtime) and runs_here(runtime)
