"""The whole job on a small network: what it writes, what it refuses, and that a failure is a row and not the end."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pocketfit.runtimes
from pocketfit.bundle import Outcome, read_bundle, verify_bundle
from pocketfit.data.digits import read_digits
from pocketfit.errors import ConversionError, DataError, InputError, OptionError, OutputError, RuntimeMissing
from pocketfit.pipeline import FitRequest, fit, intentions
from pocketfit.policy import ArtifactRef, default_policy
from pocketfit.report.summary import as_json, from_json
from pocketfit.types import Budget, Candidate, FitResult, Precision, Scheme
from pocketfit.verify.metrics import find_metric

pytestmark = pytest.mark.slow

Request = Callable[..., FitRequest]


@pytest.fixture
def request_of(fitted, tmp_path: Path) -> Request:
    """A request like that of the finished run, with its stages at hand and an output of its own."""

    def build(**changes: object) -> FitRequest:
        base = FitRequest(
            model=fitted.net.model,
            weights=fitted.net.weights,
            data="digits",
            targets=("onnxruntime",),
            cache=fitted.cache,
            out=tmp_path / "out",
        )
        return replace(base, **changes)  # type: ignore[arg-type]

    return build


class Recorder:
    """A watcher that writes down what it is told."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.done: dict[str, int] = {}
        self.finished: dict[str, bool] = {}

    def start(self, stage: str, total: int | None) -> None:
        self.started.append(stage)

    def advance(self, stage: str, done: int) -> None:
        self.done[stage] = done

    def finish(self, stage: str, seconds: float, reused: bool) -> None:
        self.finished[stage] = reused

    def say(self, sentence: str) -> None:
        pass


def reasons(result: FitResult) -> dict[str, tuple[str, str]]:
    """Stage and reason of every row that failed."""
    return {row.runtime: (row.failure.stage, row.failure.reason) for row in result.candidates if row.failure}


def row(result: FitResult, precision: Precision) -> Candidate:
    return next(one for one in result.candidates if one.precision is precision)


# A run from end to end


def test_the_bundle_is_whole_and_gives_the_answers_it_promises(fitted) -> None:
    assert {path.name for path in fitted.bundle.iterdir()} >= {"manifest.json", "plans", "golden", "report.html"}
    checks = verify_bundle(fitted.bundle).checks
    assert [(check.runtime, check.outcome) for check in checks] == [("onnxruntime", Outcome.PASSED)]
    assert checks[0].agreement == 1.0


def test_a_second_run_takes_everything_from_the_store_and_writes_the_same_bundle(fitted, request_of: Request) -> None:
    seen = Recorder()
    result = fit(request_of(), seen)
    assert set(seen.started) <= {"load", "data", "pack"}
    stored = {"calibrate", "plan", "inputs", "convert onnxruntime int8", "measure onnxruntime int8"}
    assert stored <= {stage for stage, reused in seen.finished.items() if reused}
    assert {time.stage for time in result.stages} == set(seen.finished)
    first, second = (read_bundle(path).manifest for path in (fitted.bundle, request_of().out))
    assert {name: entry for name, entry in first.files.items() if name != "report.html"} == {
        name: entry for name, entry in second.files.items() if name != "report.html"
    }


def test_the_result_holds_what_a_report_needs(request_of: Request) -> None:
    result = fit(request_of(out=None))
    assert (result.model, result.input.shape) == ("digits_net", (1, 1, 8, 8))
    assert (result.calibration_samples, result.evaluation_samples) == (100, 599)
    assert result.parameters == 8 * 9 + 8 + 128 * 160 + 160 + 160 * 10 + 10
    assert result.float_value is not None
    assert result.float_value > 90  # a least-squares classifier of random features reaches some 97%
    assert [one.precision for one in result.candidates] == list(Precision)
    assert [layer.name for layer in result.layers[Scheme.AFFINE]] == ["conv2d", "linear", "linear_1"]
    assert Scheme.SYMMETRIC not in result.layers  # no runtime of this run computes so
    assert {"pocketfit", "torch", "onnxruntime", "python"} <= set(result.versions)
    assert from_json(as_json(result)) == result


def test_evidence_of_every_row(request_of: Request) -> None:
    result = fit(request_of(out=None))
    for one in result.candidates:
        assert one.evidence is not None and one.artifact is not None
        assert one.evidence.size_bytes == one.artifact.size_bytes > 0
        assert one.evidence.accuracy is not None
        assert abs(one.evidence.accuracy.drop_points) < 2
        assert [latency.threads for latency in one.evidence.latencies] == [1, 2][: os.cpu_count()]
        assert one.evidence.parity.agreement == 1.0
    sizes = [one.evidence.size_bytes for one in result.candidates if one.evidence]
    assert sizes[0] > sizes[1]  # half the weights of float32
    int8 = row(result, Precision.INT8).evidence
    assert int8 is not None
    assert (int8.kernels.int8, int8.kernels.total) == (3, 3)


def one_hot_digits(folder: Path) -> Path:
    digits = read_digits()
    targets = np.eye(10, dtype=np.float32)[digits.labels]
    np.savez(folder / "targets.npz", x=digits.inputs[:200], y=targets[:200])
    return folder / "targets.npz"


def test_numbers_may_be_judged_instead_of_classes(request_of: Request, tmp_path: Path) -> None:
    request = request_of(
        data=str(one_hot_digits(tmp_path)), metric=find_metric("rmse"), precisions=(Precision.FLOAT32,), out=None
    )
    assert intentions(request)[1].endswith("targets.npz, by rmse")
    result = fit(request)
    (one,) = result.candidates
    assert one.evidence is not None and one.evidence.accuracy is not None
    accuracy = one.evidence.accuracy
    assert (result.metric.name, accuracy.metric, accuracy.unit, accuracy.agreement) == ("rmse", "rmse", "", None)
    # A ridge classifier is fitted to these very numbers; 0 for all of them would be off by the root of a tenth.
    assert result.float_value == accuracy.float_value < 0.31
    assert accuracy.drop_points == pytest.approx(0, abs=1e-5)  # the order of sums in float32
    assert from_json(as_json(result)) == result


def test_a_metric_that_fails_ends_the_run_before_anything_is_converted(
    request_of: Request, fitted, tmp_path: Path
) -> None:
    (tmp_path / "failing_metric.py").write_text("def failing(outputs, targets):\n    return outputs[7]\n")
    seen = Recorder()
    request = request_of(metric=find_metric(f"{tmp_path / 'failing_metric.py'}:failing"), out=None)
    with pytest.raises(DataError, match="failing failed on 599 samples: IndexError"):
        fit(request, seen)
    assert not any(stage.startswith("convert") for stage in seen.finished)


def test_stages_are_stored_once_and_nothing_unfinished_is_left(fitted) -> None:
    stages = {path.name for path in fitted.cache.iterdir()}
    assert {"model", "calibrate", "plan", "simulate", "inputs", "convert", "run", "measure"} <= stages
    assert not list(fitted.cache.glob("*/.unfinished*"))


def test_progress_reaches_the_number_of_samples(net, tmp_path: Path) -> None:
    seen = Recorder()
    request = FitRequest(net.model, "digits", weights=net.weights, targets=(), cache=tmp_path, calibration_samples=25)
    fit(request, seen)
    assert seen.done["calibrate"] == 25
    assert seen.done["simulate float32"] == 599


# Budgets and choices


def test_only_the_chosen_artifact_is_packed_unless_all_are_wanted(request_of: Request) -> None:
    fit(request_of())
    chosen = read_bundle(request_of().out).manifest.artifacts
    assert [(one.precision, one.chosen) for one in chosen] == [(Precision.INT8, True)]
    fit(request_of(keep_all=True))
    everything = read_bundle(request_of().out).manifest
    assert [one.precision for one in everything.artifacts] == list(Precision)
    assert [one.chosen for one in everything.artifacts] == [False, False, True]
    assert set(everything.plans) == set(Precision)
    assert all(check.outcome is Outcome.PASSED for check in verify_bundle(request_of().out).checks)


def test_a_default_policy_has_what_it_chooses_among_in_the_bundle(request_of: Request) -> None:
    request = request_of(policy="default", tiers=("low",))
    result = fit(request)
    bundle = read_bundle(request.out)
    policy = bundle.policy()
    assert policy is not None
    precisions = {variant.name: variant.artifacts[0].precision for variant in policy.variants}
    assert precisions == {"full": Precision.FLOAT16, "fast": Precision.INT8, "lite": Precision.INT8}
    assert {artifact.precision for artifact in bundle.artifacts} == {Precision.FLOAT16, Precision.INT8}
    assert [(one.device, one.ms) for one in bundle.manifest.tiers] == [(one.device, one.ms) for one in result.field]
    assert {entry.tier for entry in bundle.manifest.tiers} == {"low"}


def test_a_policy_for_another_runtime_is_refused_before_any_work(request_of: Request) -> None:
    policy = default_policy([ArtifactRef("ncnn", Precision.INT8)])
    with pytest.raises(InputError, match="the variant full names ncnn int8"):
        fit(request_of(policy=policy))


def test_nothing_that_fits_is_told_and_leaves_no_bundle(request_of: Request) -> None:
    result = fit(request_of(budget=Budget(max_size_bytes=1)))
    assert [choice.precision for choice in result.choices] == [None]
    assert "nothing fits the budget" in result.choices[0].reason
    assert all(one.evidence is not None for one in result.candidates)
    assert not request_of().out.exists()


def test_nothing_that_fits_leaves_an_older_bundle_as_it_was(request_of: Request) -> None:
    fit(request_of())
    before = (request_of().out / "manifest.json").read_bytes()
    fit(request_of(budget=Budget(max_size_bytes=1)))
    assert (request_of().out / "manifest.json").read_bytes() == before


def test_precisions_are_tried_in_their_own_order(request_of: Request) -> None:
    result = fit(request_of(out=None, precisions=(Precision.FLOAT32,)))
    assert [one.precision for one in result.candidates] == [Precision.FLOAT32]
    assert result.layers == {}


# Data


def test_without_labels_there_is_no_accuracy_and_the_rest_goes_on(request_of: Request, tmp_path: Path) -> None:
    images = np.random.default_rng(0).uniform(0, 1, (24, 1, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "images.npz", x=images)
    result = fit(request_of(data=str(tmp_path / "images.npz"), precisions=(Precision.FLOAT32,)))
    (one,) = result.candidates
    assert one.evidence is not None
    assert one.evidence.accuracy is None
    assert result.float_value is None
    assert result.choices[0].precision is Precision.FLOAT32
    assert verify_bundle(request_of().out).checks[0].outcome is Outcome.PASSED


def test_other_calibration_samples_give_another_plan(request_of: Request) -> None:
    plans = [read(fit_plan(request_of(targets=(), calibration_samples=count))) for count in (2, 30)]
    assert plans[0]["data_fingerprint"] != plans[1]["data_fingerprint"]
    assert plans[0]["activations"] != plans[1]["activations"]


def fit_plan(request: FitRequest) -> Path:
    assert request.cache is not None
    before = set(request.cache.glob("plan/*"))
    fit(request)
    (made,) = {path for path in set(request.cache.glob("plan/*")) - before if (path / "quality.json").exists()}
    return made


def read(folder: Path) -> dict:
    return json.loads((folder / "plan.json").read_text())


# Runtimes that are missing or fail


def test_a_missing_runtime_that_is_named_ends_the_run_before_it_begins(
    request_of: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pocketfit.runtimes, "_has", lambda package: package not in ("ncnn", "pnnx"))
    with pytest.raises(RuntimeMissing, match=r'ncnn needs ncnn, pnnx.*pip install "pocketfit\[ncnn\]"'):
        fit(request_of(targets=("onnxruntime", "ncnn")))
    assert not request_of().out.exists()


def test_missing_runtimes_that_nobody_named_are_rows(request_of: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pocketfit.runtimes, "_has", lambda package: package.startswith("onnx"))
    result = fit(request_of(targets=None))
    others = [name for name in pocketfit.runtimes.BUILT_IN if name != "onnxruntime"]
    assert {name: stage for name, (stage, _) in reasons(result).items()} == dict.fromkeys(others, "install")
    assert [choice.precision for choice in result.choices] == [Precision.INT8, *[None] * len(others)]
    assert [one.runtime for one in read_bundle(request_of().out).manifest.artifacts] == ["onnxruntime"]


def test_an_unknown_runtime_is_refused_with_those_that_are_known(request_of: Request) -> None:
    with pytest.raises(OptionError, match=r"unknown runtime 'onnxruntim'.*litert.*Did you mean 'onnxruntime'"):
        fit(request_of(targets=("onnxruntim",)))


FOREIGN = """
import os
import time
from pathlib import Path
import numpy as np
from pocketfit.errors import ConversionError
from pocketfit.types import Artifact, KernelUse, Precision, RuntimeInfo, Scheme, TensorSpec


class Session:
    def __init__(self, outputs):
        self.outputs = outputs

    def run(self, inputs):
        return (self.outputs(inputs[0]),)

    def kernels(self):
        return KernelUse(0, 1, "counted")


def runtime(name, outputs=None, fail=None):
    class Foreign:
        info = RuntimeInfo(name, name.title(), "", (), ".bin", (Precision.FLOAT32,), Scheme.AFFINE, ("linux",))

        def convert(self, variant, out):
            if fail is not None:
                fail()
            (out / "model.bin").write_bytes(b"1234")
            return Artifact(name, variant.plan.precision, Scheme.AFFINE, (out / "model.bin",),
                            variant.model.input, variant.model.output)

        def open(self, artifact, *, threads=1):
            return Session(outputs)

    return Foreign


def refuse():
    raise ConversionError("refuses", "op cumsum at node 3 is not supported", "Leave it out.")


def raise_():
    raise ZeroDivisionError("oops")


CONSTANT = np.linspace(0, 1, 10, dtype=np.float32)[None]
Constant = runtime("constant", lambda image: time.sleep(0.005) or CONSTANT)
Crashes = runtime("crashes", fail=os.abort)
Raises = runtime("raises", fail=raise_)
Refuses = runtime("refuses", fail=refuse)
Short = runtime("short", lambda image: CONSTANT[:, :5])
Nan = runtime("nan", lambda image: CONSTANT * np.nan)
Dies = runtime("dies", lambda image: os._exit(3))
"""
FOREIGN_NAMES = ("constant", "crashes", "raises", "refuses", "short", "nan", "dies")


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """An installed package that brings runtimes, each broken in its own way but the first."""
    site = tmp_path / "site"
    info = site / "foreign_runtimes-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign-runtimes\nVersion: 1.0\n")
    lines = "".join(f"{name} = foreign_runtimes:{name.title()}\n" for name in FOREIGN_NAMES)
    (info / "entry_points.txt").write_text(f"[pocketfit.runtimes]\n{lines}")
    (site / "foreign_runtimes.py").write_text(FOREIGN)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))  # for the child processes
    monkeypatch.delitem(sys.modules, "foreign_runtimes", raising=False)
    return FOREIGN_NAMES


def test_whatever_a_runtime_does_is_a_row_and_the_run_goes_on(
    request_of: Request, foreign: tuple[str, ...], tmp_path: Path
) -> None:
    request = request_of(targets=foreign, precisions=(Precision.FLOAT32,), budget=Budget(max_drop_points=100.0))
    result = fit(request)
    found = reasons(result)
    assert {name: stage for name, (stage, _) in found.items()} == {
        "crashes": "convert",
        "raises": "convert",
        "refuses": "convert",
        "short": "compare",
        "nan": "compare",
        "dies": "run",
    }
    assert "SIGABRT" in found["crashes"][1]
    assert "ZeroDivisionError: oops" in found["raises"][1]
    assert found["refuses"][1] == "op cumsum at node 3 is not supported"
    assert "shape (599, 5)" in found["short"][1]
    assert "NaN or infinity" in found["nan"][1]
    assert "exit code 3" in found["dies"][1]
    hints = {one.runtime: one.failure.hint for one in result.candidates if one.failure}
    assert hints["refuses"] == "Leave it out."
    # The one that works is measured, chosen and packed, although its answers are poor.
    assert [choice.runtime for choice in result.choices if choice.precision] == ["constant"]
    assert [one.runtime for one in read_bundle(tmp_path / "out").manifest.artifacts] == ["constant"]


def test_a_refusal_is_remembered_but_a_crash_is_tried_again(request_of: Request, foreign: tuple[str, ...]) -> None:
    request = request_of(targets=("refuses", "crashes"), precisions=(Precision.FLOAT32,), out=None)
    first = reasons(fit(request))
    seen = Recorder()
    assert reasons(fit(request, seen))["refuses"] == first["refuses"]
    assert [stage for stage in seen.started if stage.startswith("convert")] == ["convert crashes float32"]


def test_a_failure_on_a_full_disk_is_not_blamed_on_the_model(
    request_of: Request, foreign: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        monkeypatch.setattr("pocketfit.store.LEAST_FREE_BYTES", 2**62)  # full from now on
        raise ConversionError("refuses", "torch.jit.trace could not record the model")

    monkeypatch.setattr("pocketfit.proving.convert_in_child", refuse)
    request = request_of(targets=("refuses",), precisions=(Precision.FLOAT32,), cache=tmp_path / "cache")
    with pytest.raises(OutputError, match="is full"):
        fit(request)
    assert not list((tmp_path / "cache").glob("convert/*"))  # so that the next run tries again
    assert not (tmp_path / "out").exists()


UNSUPPORTED = textwrap.dedent(
    """
    import torch
    from torch import nn

    class Sorted(nn.Module):
        input_shape = (1, 8, 8)

        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.head = nn.Linear(64, 10)

        def forward(self, x):
            return torch.sort(self.head(x.flatten(1)), 1)[0]
    """
)


def test_an_op_that_one_runtime_lacks_costs_that_runtime_only(request_of: Request, tmp_path: Path) -> None:
    (tmp_path / "sorted.py").write_text(UNSUPPORTED)
    request = request_of(
        model=f"{tmp_path / 'sorted.py'}:Sorted",
        weights=None,
        targets=("onnxruntime", "ncnn"),
        precisions=(Precision.FLOAT32,),
    )
    result = fit(request)
    assert list(reasons(result)) == ["ncnn"]
    stage, reason = reasons(result)["ncnn"]
    assert stage == "convert"
    assert "sort" in reason
    assert [choice.precision for choice in result.choices] == [Precision.FLOAT32, None]
    assert "sort" in result.choices[1].reason


# A dry run, and outputs that cannot be written


def test_intentions_say_what_would_be_done_and_write_no_bundle(request_of: Request) -> None:
    lines = "\n".join(intentions(request_of(targets=None)))
    assert "input 1x8x8" in lines
    assert "100 unlabelled samples" in lines
    assert "599 held-out" in lines
    assert "ONNX Runtime: float32, float16, int8" in lines
    assert str(request_of().out) in lines
    assert not request_of().out.exists()


def test_a_foreign_folder_is_refused_before_anything_is_done(request_of: Request) -> None:
    out = request_of().out
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    seen = Recorder()
    with pytest.raises(OutputError, match=r"thesis\.tex"):
        fit(request_of(), seen)
    assert seen.started == []
    assert (out / "thesis.tex").read_text() == "years of work"
