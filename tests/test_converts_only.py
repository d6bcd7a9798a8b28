"""The whole job with a runtime whose files are converted here, but do not run here, such as Core ML outside macOS."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketfit.bundle import Outcome, read_bundle, verify_bundle
from pocketfit.cli.app import run
from pocketfit.errors import OptionError
from pocketfit.pipeline import FitRequest, fit, intentions
from pocketfit.types import Precision

pytestmark = pytest.mark.slow

ELSEWHERE = """
import platform
from pocketfit.errors import RuntimeMissing
from pocketfit.runtimes import require_here
from pocketfit.types import Artifact, KernelUse, Precision, RuntimeInfo, RuntimeOption, Scheme

HERE = {"Darwin": "macos"}.get(platform.system(), platform.system().lower())


class Elsewhere:
    info = RuntimeInfo(
        "elsewhere", "Elsewhere", "", (), ".package", (Precision.FLOAT32, Precision.INT8), Scheme.AFFINE, ("ios",),
        hosts=tuple(sorted({"linux", "macos", "windows"} - {HERE})),
        options=(RuntimeOption("units", ("all", "one"), "What it computes on."),),
    )

    def convert(self, variant, out):
        package = out / "model.package"
        (package / "inner").mkdir(parents=True)
        (package / "inner" / "weights").write_bytes(bytes(900))
        (package / "model").write_text(dict(variant.options).get("units", "default"))
        return Artifact("elsewhere", variant.plan.precision, Scheme.AFFINE, (package,), variant.model.input,
                        variant.model.output, kernels=KernelUse(2, 3, "the file"), options=dict(variant.options))

    def open(self, artifact, *, threads=1):
        require_here(self)
"""

Request = Callable[..., FitRequest]


@pytest.fixture
def request_of(fitted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    """Requests that take up the stages of the finished run, with a package installed that brings the runtime."""
    info = tmp_path / "site" / "elsewhere-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pocketfit.runtimes]\nelsewhere = elsewhere_runtime:Elsewhere\n")
    (tmp_path / "site" / "elsewhere_runtime.py").write_text(ELSEWHERE)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=os.pathsep)
    asked = FitRequest(
        model=fitted.net.model,
        weights=fitted.net.weights,
        data="digits",
        targets=("onnxruntime", "elsewhere"),
        precisions=(Precision.FLOAT32, Precision.INT8),
        cache=fitted.cache,
        out=tmp_path / "out",
    )
    return lambda **changes: replace(asked, **changes)


def test_it_is_a_row_with_what_its_files_tell_and_never_the_choice(request_of: Request) -> None:
    result = fit(request_of(out=None))
    rows = [row for row in result.candidates if row.runtime == "elsewhere"]
    assert [row.precision for row in rows] == [Precision.FLOAT32, Precision.INT8]
    for row in rows:
        assert row.evidence is None and row.failure is None and row.not_run is not None
        assert (row.not_run.size_bytes, row.not_run.kernels) == (907, row.artifact and row.artifact.kernels)
        assert row.not_run.reason.startswith("Elsewhere runs on ")
    assert {choice.runtime: choice.precision is None for choice in result.choices} == {
        "onnxruntime": False,
        "elsewhere": True,
    }


def test_it_is_packed_with_its_options_where_it_was_named(request_of: Request) -> None:
    request = request_of(options={"elsewhere": {"units": "one"}})
    fit(request)
    assert request.out is not None
    bundle = read_bundle(request.out)
    entries = [entry for entry in bundle.manifest.artifacts if entry.runtime == "elsewhere"]
    assert [entry.precision for entry in entries] == [Precision.FLOAT32, Precision.INT8]
    for entry in entries:
        assert (entry.chosen, entry.evidence, entry.options) == (False, None, {"units": "one"})
        assert entry.files == (f"elsewhere/{entry.precision}/model.package",)
        artifact = bundle.artifact(entry)
        assert (artifact.files[0] / "model").read_text() == "one"
        assert (artifact.size_bytes, artifact.options) == (903, {"units": "one"})
    checks = {check.runtime: check for check in verify_bundle(request.out).checks}
    assert checks["onnxruntime"].outcome is Outcome.PASSED
    assert checks["elsewhere"].outcome is Outcome.SKIPPED
    assert checks["elsewhere"].reason.startswith("not run here: Elsewhere runs on ")


def test_without_being_named_it_is_not_packed(request_of: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    from pocketfit import pipeline
    from pocketfit.runtimes import get_runtime

    both = (get_runtime("onnxruntime"), get_runtime("elsewhere"))
    monkeypatch.setattr(pipeline, "all_runtimes", lambda: both)  # the others would take minutes
    request = request_of(targets=None, keep_all=True)
    assert any(row.not_run for row in fit(request).candidates)
    assert request.out is not None
    assert {entry.runtime for entry in read_bundle(request.out).manifest.artifacts} == {"onnxruntime"}


def test_its_tolerance_comes_from_the_plan(request_of: Request) -> None:
    """For the machine that runs it: INT8 may be off by what the plan costs, float by a thousandth."""
    request = request_of(targets=("elsewhere",))
    fit(request)
    assert request.out is not None
    bundle = read_bundle(request.out)
    floats, int8 = bundle.manifest.artifacts
    largest = float(np.abs(bundle.golden_outputs(floats)).max())
    assert 1e-3 * largest <= floats.tolerance < 1e-2 * largest
    cost = np.abs(bundle.golden_outputs(int8) - bundle.golden_outputs(floats)).max()
    assert cost <= int8.tolerance < largest


def test_options_of_no_target_are_refused(request_of: Request) -> None:
    with pytest.raises(OptionError, match="units is for elsewhere, which is none of the targets: onnxruntime"):
        fit(request_of(targets=("onnxruntime",), options={"elsewhere": {"units": "one"}}))
    with pytest.raises(OptionError, match=r"Elsewhere has no units 'two'\. Allowed: all, one"):
        fit(request_of(options={"elsewhere": {"units": "two"}}))


def test_a_dry_run_says_so(request_of: Request) -> None:
    assert any("not run here: Elsewhere runs on" in line for line in intentions(request_of()))


def test_alone_it_is_converted_and_packed_and_no_failure(
    request_of: Request, fitted: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["fit", fitted.net.model, f"--weights={fitted.net.weights}", "--data=digits", f"--cache={fitted.cache}"]
    out = tmp_path / "alone"
    assert run([*line, "--targets=elsewhere", "--precisions=float32,int8", f"--out={out}"]) == 0
    printed = capsys.readouterr()
    assert "converted, not run here" in printed.out
    assert f"pocketfit verify {out}" in printed.out
    assert run(["verify", str(out)]) == 2  # nothing was verified, and that is not called a success
    assert "not run here: Elsewhere runs on" in capsys.readouterr().out
    assert json.loads((out / "manifest.json").read_text())["artifacts"][0]["evidence"] is None
