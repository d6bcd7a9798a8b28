"""`pocketfit measure --browser` with a real browser: headless Chromium opens the page that the command serves.

The runtimes for browsers are those of this installation, or in the folder POCKETFIT_WEB_RUNTIMES.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest

from pocketfit.bundle import Contents, read_bundle, write_bundle
from pocketfit.cli.app import run
from pocketfit.devices.measure.browser.certificate import own_address
from pocketfit.devices.measure.browser.packages import SHIPPED
from pocketfit.errors import OptionError

pytestmark = pytest.mark.slow

WEB = os.environ.get("POCKETFIT_WEB_RUNTIMES") or str(SHIPPED)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-component-update")
MAIN = "from pocketfit.cli.app import main; main()"


@pytest.fixture
def bundle(contents: Contents, tmp_path: Path) -> Path:
    write_bundle(contents, tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def in_chromium(tmp_path: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Run `pocketfit measure` with --browser, and open what it serves."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed: Debian's package chromium")
    if not Path(WEB, "onnxruntime-web").is_dir():
        pytest.skip("no runtimes for browsers: python -m pocketfit.devices.measure.browser.fetch")
    opened: list[subprocess.Popen[bytes]] = []

    def in_chromium(bundle: Path, *options: str, flags: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-c", MAIN, "measure", str(bundle), "--browser", "--web-runtimes", WEB, "--wait=1"]
        with (tmp_path / "told").open("w+") as told:
            command = subprocess.Popen([*line, *options], stdout=subprocess.PIPE, stderr=told, text=True)
            url = _url(tmp_path / "told", command)
            profile = f"--user-data-dir={tmp_path / 'profile'}"
            browser = [CHROMIUM, *QUIET, profile, *flags, url]
            opened.append(subprocess.Popen(browser, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            out, _ = command.communicate(timeout=240)
        return subprocess.CompletedProcess(line, command.returncode, out, (tmp_path / "told").read_text())

    yield in_chromium
    for browser in opened:
        browser.terminate()
        browser.wait(30)


def _url(told: Path, command: subprocess.Popen[str]) -> str:
    for _ in range(600):
        if found := re.search(r"https?://\S+/\S+/", told.read_text()):
            return found[0]
        assert command.poll() is None, told.read_text()
        time.sleep(0.1)
    raise AssertionError(f"no address was shown: {told.read_text()}")


def test_a_bundle_is_measured_and_checked_in_a_browser(bundle: Path, in_chromium: Any) -> None:
    done = in_chromium(bundle, "--address=127.0.0.1", "--threads=1,2", "--runs=7", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["failed"] == []
    rows = [(one["runtime"], one["precision"], one["threads"]) for one in found["measured"]]
    assert rows == [("onnxruntime", precision, threads) for precision in ("float32", "int8") for threads in (1, 2)]
    for one in found["measured"]:
        assert one["where"].endswith("in the browser")
        assert one["golden"]["passed"]
        (timed,) = one["rounds"]
        # Seven readings of the clock, each of as many inferences as it takes a clock of microseconds to tell them.
        assert (timed["runs"] % 7, timed["statistic"], timed["ms"] > 0) == (0, "median", True)


def test_over_https_with_the_certificate_made_for_it(bundle: Path, in_chromium: Any) -> None:
    pytest.importorskip("trustme", reason="trustme is not installed: pip install 'pocketfit[browser]'")
    try:
        own_address()
    except OptionError:
        pytest.skip("this host is in no network")
    done = in_chromium(bundle, "--runs=3", flags=("--ignore-certificate-errors",))
    assert done.returncode == 0, done.stderr
    assert "https://" in done.stderr
    assert re.search(r"fingerprint is\n\s+([0-9A-F]{2}:){31}", done.stderr)
    assert "say nothing about which precision is faster" in " ".join(done.stdout.split())


def test_wrong_answers_are_told(bundle: Path, in_chromium: Any, edit_manifest: Any) -> None:
    def swap(manifest: dict[str, Any]) -> None:
        for artifact in manifest["artifacts"]:
            artifact["golden"] = "float32"

    edit_manifest(bundle, swap)
    assert len(read_bundle(bundle).manifest.artifacts) == 2
    done = in_chromium(bundle, "--address=127.0.0.1", "--runs=3")
    assert done.returncode == 4
    assert "onnxruntime int8 does not give the bundle's golden answers" in done.stderr
    assert "WRONG" in done.stdout


def test_a_file_that_no_browser_loads_is_a_row(bundle: Path, in_chromium: Any, edit_manifest: Any) -> None:
    def spoil(manifest: dict[str, Any]) -> None:
        replaced(manifest, bundle, manifest["artifacts"][0]["files"][0], b"not a model")

    edit_manifest(bundle, spoil)
    done = in_chromium(bundle, "--address=127.0.0.1", "--runs=3", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [one["precision"] for one in found["measured"]] == ["int8"]
    (failed,) = found["failed"]
    assert failed.startswith("onnxruntime float32, 1 threads: in the browser: ")


def test_several_samples_at_once(bundle: Path, in_chromium: Any, edit_manifest: Any) -> None:
    def make_dynamic(manifest: dict[str, Any]) -> None:
        for artifact in manifest["artifacts"]:
            (name,), artifact["options"] = artifact["files"], {"batch": "dynamic"}
            model = onnx.load(bundle / name)
            model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
            model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
            replaced(manifest, bundle, name, model.SerializeToString())

    edit_manifest(bundle, make_dynamic)
    done = in_chromium(bundle, "--address=127.0.0.1", "--runs=3", "--batch=4", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [(one["batch"], one["golden"]["passed"]) for one in found["measured"]] == [(4, True), (4, True)]


def replaced(manifest: dict[str, Any], bundle: Path, name: str, content: bytes) -> None:
    (bundle / name).write_bytes(content)
    manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def test_litert_runs_int8_in_a_browser(in_chromium: Any, net: Any, tmp_path: Path) -> None:
    pytest.importorskip("litert_torch", reason="litert-torch is not installed: pip install 'pocketfit[litert]'")
    out = tmp_path / "fitted"
    words = ["fit", net.model, "--weights", str(net.weights), "--data", "digits", "--targets", "litert", "--keep-all"]
    assert run([*words, "--precisions", "float32,int8", "--cache", str(tmp_path / "cache"), "-o", str(out)]) == 0
    done = in_chromium(out, "--address=127.0.0.1", "--threads=1,2", "--runs=3", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["measured"]
    assert [(one["precision"], one["threads"]) for one in found] == [
        ("float32", 1),
        ("float32", 2),
        ("int8", 1),
        ("int8", 2),
    ]
    assert all(one["golden"]["passed"] for one in found)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--adb", "any"], "--browser needs neither --adb"),
        (["--runtimes", "ncnn"], "It has: onnxruntime"),
        (["--web-runtimes", "nowhere", "--address", "127.0.0.1"], "--web-runtimes FOLDER"),
    ],
)
def test_what_cannot_be_measured_in_a_browser_is_refused(
    bundle: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["measure", str(bundle), "--browser", *options]) == 2
    assert message in capsys.readouterr().err
