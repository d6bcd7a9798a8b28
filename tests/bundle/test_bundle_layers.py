"""`pocketfit verify --layers` on bundles of a small network in ncnn, the quickest to convert to."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from pocketfit.bundle import Contents, Outcome, verify_layers, write_bundle
from pocketfit.cli.app import run
from pocketfit.compress.quantize.plan import plan_to_json
from pocketfit.errors import InputError
from pocketfit.models.store import save
from pocketfit.runtimes import get_runtime
from pocketfit.runtimes.ncnn_format import read_network, write_network
from pocketfit.store import Store, key_of
from pocketfit.testing import case_of
from pocketfit.testing.models import Perceptron
from pocketfit.types import Artifact, Candidate, Precision, QuantizationPlan, Scheme

KIND = ("ncnn", Precision.INT8)
NET = """
from pocketfit.testing.models import Perceptron, build as build_tiny

def build():
    return build_tiny(Perceptron, seed={seed})
"""


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return get_runtime("ncnn").convert(case_of(Perceptron).variant(Precision.INT8), tmp_path_factory.mktemp("made"))


def bundle_of(artifact: Artifact, plan: QuantizationPlan, out: Path) -> Path:
    case = case_of(Perceptron)
    contents = Contents(
        model="perceptron",
        source="net.py:build",
        fingerprint=case.model.fingerprint,
        input=case.model.input,
        output=case.model.output,
        candidates=(Candidate(*KIND, artifact),),
        chosen=frozenset({KIND}),
        plans={Precision.INT8: plan_to_json(plan)},
        golden_inputs=case.samples[:2],
        golden_outputs={KIND: case.expected(Precision.INT8, Scheme.SYMMETRIC)[:2]},
        tolerances={KIND: 1.0},
    )
    write_bundle(contents, out)
    return out


def damaged(artifact: Artifact, folder: Path) -> Artifact:
    """The second of its three layers adds another bias."""
    layers = list(read_network(*artifact.files))
    place = [index for index, layer in enumerate(layers) if layer.kind == "InnerProduct"][1]
    weight, bias, *scales = layers[place].blobs
    bias = dataclasses.replace(bias, values=bias.values + 0.5)
    layers[place] = dataclasses.replace(layers[place], blobs=(weight, bias, *scales))
    files = (folder / "model.param", folder / "model.bin")
    write_network(layers, *files)
    return dataclasses.replace(artifact, files=files)


def arguments(bundle: Path, tmp_path: Path, seed: int = 0) -> list[str]:
    net = tmp_path / "net.py"
    net.write_text(NET.format(seed=seed))
    return ["verify", str(bundle), "--layers", f"--model={net}:build", f"--cache={tmp_path / 'cache'}"]


@pytest.fixture
def plan() -> QuantizationPlan:
    return case_of(Perceptron).plans[Precision.INT8]


def test_an_intact_bundle(
    artifact: Artifact, plan: QuantizationPlan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*arguments(bundle_of(artifact, plan, tmp_path / "out"), tmp_path), "--json"]) == 0
    (check,) = json.loads(capsys.readouterr().out)
    assert (check["runtime"], check["outcome"], check["trace"]["first"]) == ("ncnn", "passed", None)
    assert [layer["name"] for layer in check["trace"]["layers"]] == ["relu", "relu_1", "linear_2"]


def test_a_damaged_layer_is_named_and_marked(
    artifact: Artifact,
    plan: QuantizationPlan,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    bundle = bundle_of(damaged(artifact, tmp_path), plan, tmp_path / "out")
    assert run(arguments(bundle, tmp_path)) == 4
    printed = capsys.readouterr()
    assert "the first layer that does something else than the plan says is linear_1 (layers.2)" in printed.out
    (marked,) = [line for line in printed.out.splitlines() if line.startswith("first")]
    assert "linear_1" in marked
    assert "1 of 1 artifacts" in printed.err


def test_another_model_is_refused(
    artifact: Artifact, plan: QuantizationPlan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = bundle_of(artifact, plan, tmp_path / "out")
    assert run(arguments(bundle, tmp_path, seed=1)) == 2
    error = capsys.readouterr().err
    assert case_of(Perceptron).model.fingerprint[:12] in error
    assert "that `pocketfit fit` was given" in error


@pytest.mark.parametrize(
    ("given", "said"), [(["--layers"], "Add --model"), (["--model=net.py:build"], "Add --layers, or leave it out")]
)
def test_layers_and_model_belong_together(
    given: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", str(tmp_path), *given]) == 2
    assert said in capsys.readouterr().err


def test_a_plan_of_changed_weights_finds_them_in_the_store(
    artifact: Artifact, plan: QuantizationPlan, tmp_path: Path
) -> None:
    model, store = case_of(Perceptron).model, Store(tmp_path / "cache")
    # The same weights under another fingerprint: what counts here is where they are looked for.
    bundle = bundle_of(artifact, dataclasses.replace(plan, model_fingerprint="changed"), tmp_path / "out")
    with pytest.raises(InputError, match=r"not among the stages stored in .*--cache"):
        verify_layers(bundle, model, store)
    store.get("model", key_of({"fingerprint": "changed"}), lambda out: save(model, out))
    (check,) = verify_layers(bundle, model, store)
    assert check.outcome is Outcome.PASSED
