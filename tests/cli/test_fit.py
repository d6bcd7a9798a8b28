"""`pocketfit fit` at the terminal: what it prints, what it returns, and where it writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pocketfit.bundle import read_bundle
from pocketfit.cli.app import run
from pocketfit.policy import read_policy
from pocketfit.report.summary import from_json
from pocketfit.types import Precision

pytestmark = pytest.mark.slow

Fit = Callable[..., int]


@pytest.fixture
def fit(fitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fit:
    """Run the command with the stages of the finished run at hand."""
    monkeypatch.setenv("POCKETFIT_CACHE", str(fitted.cache))
    monkeypatch.setenv("COLUMNS", "160")
    line = ["fit", fitted.net.model, f"--weights={fitted.net.weights}", "--data=digits", f"--out={tmp_path / 'out'}"]

    def fit(*extra: str) -> int:
        return run([*line, "--targets=onnxruntime", *extra])

    return fit


def test_the_table_the_choice_and_the_next_step_are_printed(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit() == 0
    printed = capsys.readouterr()
    for word in ("float32", "float16", "int8", "chosen", "size", "top-1", "SQNR", "on one thread"):
        assert word in printed.out
    assert f"pocketfit verify {tmp_path / 'out'}" in printed.out
    assert "measure onnxruntime int8" in printed.err  # progress keeps out of the result
    assert "stored" in printed.err
    assert read_bundle(tmp_path / "out").manifest.artifacts[0].precision is Precision.INT8


def test_the_bundle_can_be_verified_at_the_terminal(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit() == 0
    assert run(["verify", str(tmp_path / "out")]) == 0
    assert "passed" in capsys.readouterr().out


def test_tiers_add_the_table_of_the_field(fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit("--tiers=high", "--json") == 0
    field = json.loads(capsys.readouterr().out)["field"]
    assert {row["tier"] for row in field} == {"high"}
    assert any(row["runtime"] == "onnxruntime" and row["processor"] == "npu" for row in field)
    assert "The field, predicted" in (tmp_path / "out" / "report.html").read_text()
    assert fit("--tiers=best") == 2
    assert "high, mid, low" in capsys.readouterr().err


def test_a_policy_goes_into_the_bundle(fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "init", "-o", str(tmp_path / "policy.json")]) == 0
    assert fit("--policy", str(tmp_path / "policy.json")) == 0
    assert read_bundle(tmp_path / "out").policy() == read_policy(tmp_path / "policy.json")
    capsys.readouterr()
    assert fit("--policy", str(tmp_path / "none.json")) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert fit("--policy", "default", "--strategy", "search") == 2
    assert "A search ends with one artifact" in capsys.readouterr().err


def test_json_is_all_there_is_on_standard_output(fit: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit("--json") == 0
    text = capsys.readouterr().out
    data = json.loads(text)
    assert [row["precision"] for row in data["candidates"]] == ["float32", "float16", "int8"]
    assert from_json(text).choices[0].precision is Precision.INT8


def test_nothing_within_the_budget_is_exit_code_3_with_the_whole_table(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit("--max-size=1kB") == 3
    printed = capsys.readouterr()
    assert printed.out.count("over the 1.00 kB allowed") >= 3  # how far off each candidate is
    assert "nothing fits the budget" in printed.err
    assert "No bundle was written" in printed.err
    assert not (tmp_path / "out").exists()


def test_nothing_within_the_budget_as_json(fit: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit("--max-size=1kB", "--json") == 3
    assert from_json(capsys.readouterr().out).choices[0].precision is None


def test_a_budget_between_two_sizes_takes_the_smaller(fit: Fit, tmp_path: Path) -> None:
    assert fit("--max-size=60kB", "--max-drop=0", "--prefer=size") == 0
    (chosen,) = read_bundle(tmp_path / "out").manifest.artifacts
    assert chosen.precision in (Precision.FLOAT16, Precision.INT8)


def test_keep_all_packs_everything(fit: Fit, tmp_path: Path) -> None:
    assert fit("--keep-all") == 0
    assert len(read_bundle(tmp_path / "out").manifest.artifacts) == 3


def test_precisions_are_limited(fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit("--precisions= float16,float32", "--json") == 0
    assert [row["precision"] for row in json.loads(capsys.readouterr().out)["candidates"]] == ["float32", "float16"]


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit("--dry-run") == 0
    printed = capsys.readouterr().out
    assert "convert to ONNX Runtime: float32, float16, int8" in printed
    assert "599 held-out" in printed
    assert list(tmp_path.iterdir()) == []


def test_a_report_of_its_own_is_written_even_when_nothing_fits(fit: Fit, tmp_path: Path) -> None:
    assert fit("--max-size=1kB", f"--report={tmp_path / 'report.html'}") == 3
    assert "<html" in (tmp_path / "report.html").read_text()


def test_a_second_run_replaces_the_bundle(fit: Fit, tmp_path: Path) -> None:
    assert fit("--keep-all") == 0
    assert fit("--precisions=float32") == 0
    bundle = read_bundle(tmp_path / "out")
    assert [one.precision for one in bundle.manifest.artifacts] == [Precision.FLOAT32]
    assert not (tmp_path / "out" / "onnxruntime" / "int8").exists()


def test_an_op_that_no_runtime_takes_is_exit_code_3_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All rows failed, so nothing fits; that the model was refused by converters is not the user's command line."""
    code = "from torch import nn\nclass Sorted(nn.Module):\n    input_shape = (1, 8, 8)\n"
    code += "    def forward(self, x):\n        return x.flatten(1).sort(1)[0][:, :10]\n"
    (tmp_path / "sorted.py").write_text(code)
    line = ["fit", f"{tmp_path / 'sorted.py'}:Sorted", "--data=digits", "--targets=ncnn", "--precisions=float32"]
    assert run([*line, f"--cache={tmp_path / 'cache'}", f"--out={tmp_path / 'out'}"]) == 3
    printed = capsys.readouterr()
    assert "aten::sort" in printed.out
    assert "failed" in printed.out
    assert "no runtime gave an artifact that runs" in printed.err
    assert not (tmp_path / "out").exists()


WORST = """
def least(outputs, targets):
    return float(outputs[0][range(len(targets)), targets].mean())
least.unit = "logits"
"""


def test_a_metric_of_ones_own(fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "least_metric.py").write_text(WORST)
    assert fit(f"--metric={tmp_path / 'least_metric.py'}:least", "--max-drop=0.5logits") == 0
    printed = capsys.readouterr().out
    assert "float least 0." in printed
    assert " logits on 599 held-out samples" in printed
    entry = read_bundle(tmp_path / "out").manifest.artifacts[0]
    assert entry.evidence is not None and entry.evidence.accuracy is not None
    assert (entry.evidence.accuracy.metric, entry.evidence.accuracy.unit) == ("least", "logits")


def test_another_metric_of_the_table(fit: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit("--metric=top-5") == 0
    assert "float top-5 9" in capsys.readouterr().out
