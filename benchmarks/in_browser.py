"""Answers in a browser beside those of the same runtime in Python: bundles of other benchmarks, in headless Chromium.

Bundles come from `fit_time`, `int8_runtimes` and `rescue`, and have to be in the cache; the runtimes for browsers are
in this installation, or in the folder POCKETFIT_WEB_RUNTIMES. Latencies are left out: those of a headless browser on a
server say nothing about a phone's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.real_data import cache_folder
from benchmarks.results import Row
from pocketfit.bundle import read_bundle
from pocketfit.bundle.manifest import ArtifactEntry
from pocketfit.bundle.read import Bundle
from pocketfit.devices.measure.browser.packages import SHIPPED, pinned
from pocketfit.devices.measure.browser.place import InBrowser
from pocketfit.types import Samples
from pocketfit.verify.parity import compare_outputs
from pocketfit.verify.run import outputs_of, store_inputs

BUNDLES = (
    "mobilenet_v2",
    "squeezenet_v1_1",
    "rescue-mobilenet_v3_cifar",
    "rescue-efficientnet_cifar",
    "rescue-small_vit",
    "rescue-mnist_lstm",
)
CHROMIUM = ("chromium", "--headless=new", "--no-sandbox", "--disable-gpu")
WAIT_S = 60.0


def run() -> Iterator[Row]:
    """A row for each artifact that a browser runs."""
    for name in BUNDLES:
        bundle = read_bundle(cache_folder() / "bundles" / name)
        entries = [entry for entry in bundle.manifest.artifacts if entry.runtime in pinned().runtimes]
        with _page(bundle, entries) as page:
            for entry in entries:
                yield {"bundle": name, **_compared(page, bundle, entry)}


@contextmanager
def _page(bundle: Bundle, entries: list[ArtifactEntry]) -> Iterator[InBrowser]:
    assert shutil.which(CHROMIUM[0]), "install Debian's package chromium"
    web = Path(os.environ.get("POCKETFIT_WEB_RUNTIMES") or SHIPPED)
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        InBrowser([bundle.artifact(entry) for entry in entries], "127.0.0.1", 0, web) as page,
    ):
        command = [*CHROMIUM, f"--user-data-dir={profile}", page.url]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            page.wait(WAIT_S, lambda left: None)
            yield page
        finally:
            browser.terminate()
            browser.wait()


def _compared(page: InBrowser, bundle: Bundle, entry: ArtifactEntry) -> Row:
    artifact = bundle.artifact(entry)
    answers = page.answers(artifact, bundle.golden_inputs(), threads=1)
    golden = compare_outputs(answers, bundle.golden_outputs(entry), artifact.outputs)
    python = compare_outputs(answers, _in_python(bundle, entry), artifact.outputs)
    return {
        "runtime": entry.runtime,
        "precision": str(entry.precision),
        "build": next(f"{one.name} {one.version}" for one in pinned().packages if one.runtime == entry.runtime),
        "off_python": python.max_error,
        "off_golden": golden.max_error,
        "allowed": entry.tolerance,
        "passed": golden.max_error <= entry.tolerance,
        "agreement_python": python.agreement,
        "samples": golden.samples,
        "where": page.where,
    }


def _in_python(bundle: Bundle, entry: ArtifactEntry) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        store_inputs(Samples(bundle.golden_inputs(), labels=None, preprocess=None), work)
        outputs_of(bundle.artifact(entry), work, work / "outputs.npy")
        answers: np.ndarray = np.load(work / "outputs.npy")
        return answers
