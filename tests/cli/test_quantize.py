"""`pocketfit quantize` and `pocketfit diagnose` at the terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pocketfit.bundle import Outcome, read_bundle, verify_bundle
from pocketfit.cli.app import run
from pocketfit.report.summary import from_json
from pocketfit.types import Precision

Command = Callable[..., int]


@pytest.fixture
def quantize(fitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command with the stages of the finished run at hand."""
    monkeypatch.setenv("POCKETFIT_CACHE", str(fitted.cache))
    monkeypatch.setenv("COLUMNS", "160")
    line = ["quantize", fitted.net.model, f"--weights={fitted.net.weights}", f"--out={tmp_path / 'out'}"]

    def quantize(*extra: str) -> int:
        return run([*line, "--targets=onnxruntime", *extra])

    return quantize


@pytest.mark.slow
def test_it_stops_at_the_target_and_says_what_each_step_gained(
    quantize: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quantize("--data=digits", "--max-drop=2", "--json") == 0
    result = from_json(capsys.readouterr().out)
    assert [rung.name for rung in result.rungs] == ["plain"]  # eight bits cost this network nothing to speak of
    assert result.rungs[0].score.samples == result.evaluation_samples
    assert [row.precision for row in result.candidates] == [Precision.FLOAT32, Precision.INT8]
    checks = verify_bundle(tmp_path / "out").checks
    assert {check.outcome for check in checks} == {Outcome.PASSED}


@pytest.mark.slow
def test_a_target_that_cannot_be_met_keeps_the_best_and_says_so(
    quantize: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quantize("--data=digits", "--max-drop=0", "--min-agreement=100%", "--weight-bits=4") in (0, 3)
    printed = capsys.readouterr()
    assert "Rescue" in printed.out
    assert "GPTQ" in printed.out or "bias correction" in printed.out
    manifest = read_bundle(tmp_path / "out").manifest
    assert Precision.INT8 in {entry.precision for entry in manifest.artifacts}


@pytest.mark.slow
def test_a_second_run_takes_every_step_from_the_store(quantize: Command, capsys: pytest.CaptureFixture[str]) -> None:
    line = ("--data=digits", "--max-drop=0", "--min-agreement=1", "--spare=head")
    first = quantize(*line)
    capsys.readouterr()
    assert quantize(*line) == first
    said = [words for words in capsys.readouterr().err.splitlines() if "rescue" in words]
    assert said
    assert all("stored" in words for words in said)


def test_a_dry_run_names_what_a_runtime_cannot_express(
    fitted, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POCKETFIT_CACHE", str(fitted.cache))
    line = ["quantize", fitted.net.model, f"--weights={fitted.net.weights}", "--data=digits", "--dry-run"]
    assert run([*line, f"--out={tmp_path / 'out'}", "--activation-bits=16", "--targets=onnxruntime,ncnn"]) == 0
    said = capsys.readouterr().out
    assert "ncnn: " in said
    assert "16-bit" in said
    assert not (tmp_path / "out").exists()


WITH_BATCH_NORM = """
import torch
from torch import nn


def build():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    net.train()(torch.randn(32, 1, 8, 8))
    return net
"""


@pytest.mark.slow
def test_without_data_batch_norm_has_to_do_and_the_result_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "normed.py").write_text(WITH_BATCH_NORM)
    line = ["quantize", f"{tmp_path / 'normed.py'}:build", "--input=1x8x8", "--targets=onnxruntime", "--json"]
    assert run([*line, f"--out={tmp_path / 'out'}", f"--cache={tmp_path / 'cache'}"]) == 0
    result = from_json(capsys.readouterr().out)
    assert any("No data was used" in note for note in result.notes)
    assert (result.calibration_samples, result.float_value) == (0, None)
    evidence = [row.evidence for row in result.candidates if row.precision is Precision.INT8]
    assert evidence[0] is not None
    assert evidence[0].accuracy is None
    assert evidence[0].parity.sqnr_db > 60  # the same integers; only the float answer's rounding may differ


def test_without_data_a_model_without_batch_norm_is_refused(
    quantize: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quantize() == 2
    assert "batch normali" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "allowed"),
    [
        ("--weight-bits=3", "8, 4"),
        ("--activation-bits=12", "8, 16, 32"),
        ("--ranges=guess", "min-max"),
        ("--levels=cubes", "power-of-two"),
        ("--min-agreement=often", "98.5%"),
        ("--train=0", "1 or more"),
        ("--spare=nowhere", "no layer or module called nowhere"),
    ],
)
def test_what_cannot_be_is_refused(
    quantize: Command, option: str, allowed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quantize("--data=digits", option) == 2
    assert allowed in capsys.readouterr().err


def test_training_on_what_is_held_out_is_refused(quantize: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert quantize("--data=digits", "--train=1", "--train-data=digits") == 2
    assert "held out" in capsys.readouterr().err


def test_a_diagnosis_names_every_op_and_is_plotted(
    fitted, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POCKETFIT_CACHE", str(fitted.cache))
    page = tmp_path / "diagnosis.html"
    line = ["diagnose", fitted.net.model, f"--weights={fitted.net.weights}", "--data=digits", f"--plot={page}"]
    assert run([*line, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"conv2d", "linear", "linear_1"} <= {one["name"] for one in found}
    assert [one["alone"] for one in found] == sorted((one["alone"] for one in found), reverse=True)
    text = page.read_text(encoding="utf-8")
    assert "features.0" in text
    assert "https://" not in text.partition("<script>")[0]
    assert run(line) == 0
    assert "SQNR" in capsys.readouterr().out
