import dataclasses
import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from pocketfit.bundle import Contents, Outcome, PreprocessCheck, read_bundle, verify_bundle, write_bundle
from pocketfit.cli.verify import verify
from pocketfit.errors import InputError, OptionError, RuntimeMissing, VerificationFailed
from pocketfit.types import Candidate, Precision


@pytest.fixture
def bundle(contents: Contents, tmp_path: Path) -> Path:
    return write_bundle(contents, tmp_path / "out")


def with_weight(contents: Contents, change: Callable[[np.ndarray], np.ndarray]) -> Contents:
    """The same contents with other weights in the INT8 artifact than those its golden outputs came from."""
    artifact = contents.candidates[1].artifact
    assert artifact is not None
    model = onnx.load(artifact.files[0])
    weight = numpy_helper.to_array(model.graph.initializer[0])
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(change(weight), "weight"))
    onnx.save(model, artifact.files[0])
    return contents


def of_another_runtime(contents: Contents) -> Contents:
    row = contents.candidates[0]
    assert row.artifact is not None
    other = Candidate("abacus", Precision.FLOAT32, dataclasses.replace(row.artifact, runtime="abacus"))
    return dataclasses.replace(
        contents,
        candidates=(other,),
        golden_outputs={("abacus", Precision.FLOAT32): contents.golden_outputs["onnxruntime", Precision.FLOAT32]},
        tolerances={("abacus", Precision.FLOAT32): 1.0},
    )


def test_a_good_bundle_passes_in_the_real_runtime(bundle: Path) -> None:
    result = verify_bundle(bundle)
    assert [(check.precision, check.outcome, check.agreement) for check in result.checks] == [
        (Precision.FLOAT32, Outcome.PASSED, 1.0),
        (Precision.INT8, Outcome.PASSED, 1.0),
    ]
    assert all(check.max_error is not None and check.max_error <= check.tolerance for check in result.checks)
    assert result.preprocess == PreprocessCheck(Outcome.PASSED, vectors=4)
    assert result.files == 11


def with_other_preprocessing(bundle: Path, edit_manifest: Callable[[Path, Callable[[dict], object]], None]) -> None:
    """Another kernel than the vectors were written with, and the manifest vouches for it."""
    file = bundle / "preprocess.json"
    file.write_text(file.read_text().replace('"bilinear"', '"bicubic"'))
    content = file.read_bytes()
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    edit_manifest(bundle, lambda data: data["files"].update({"preprocess.json": entry}))


def test_a_preprocessing_that_gives_other_pixels_fails(
    bundle: Path, edit_manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    with_other_preprocessing(bundle, edit_manifest)
    with pytest.raises(VerificationFailed, match="input 0: pixels and expected differ") as caught:
        verify(bundle, as_json=True)
    assert caught.value.exit_code == 4
    assert json.loads(capsys.readouterr().out)["preprocess"]["outcome"] == "failed"


def test_a_bundle_of_the_first_schema_is_verified_without_its_preprocessing(bundle: Path, edit_manifest) -> None:
    edit_manifest(bundle, lambda data: (data.update(schema_version=1), data.pop("preprocess_vectors")))
    result = verify_bundle(bundle)
    assert result.preprocess is not None
    assert (result.preprocess.outcome, "older Pocketfit" in result.preprocess.reason) == (Outcome.SKIPPED, True)
    with pytest.raises(InputError, match="has another form"):
        read_bundle(bundle).contract()


def test_a_bundle_that_is_fed_as_it_is_has_no_preprocessing(contents: Contents, tmp_path: Path) -> None:
    bundle = write_bundle(dataclasses.replace(contents, preprocess=None), tmp_path / "out")
    assert verify_bundle(bundle).preprocess is None
    assert read_bundle(bundle).contract() is None


def test_a_delegate_that_is_not_here_is_told(
    contents: Contents, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, *others = contents.candidates
    assert second.artifact is not None
    asking = dataclasses.replace(second, artifact=dataclasses.replace(second.artifact, options={"delegate": "qnn"}))
    contents = dataclasses.replace(contents, candidates=(first, asking, *others))
    bundle = write_bundle(contents, tmp_path / "out")
    plain, told = verify_bundle(bundle).checks
    assert plain.delegate == ""
    assert told.outcome is Outcome.PASSED
    assert told.delegate.startswith("made for qnn, run on the CPU: ")
    verify(bundle)
    assert "onnxruntime int8: made for qnn, run on the CPU" in " ".join(capsys.readouterr().out.split())


def test_an_answer_beyond_its_tolerance_fails(contents: Contents, tmp_path: Path) -> None:
    bundle = write_bundle(with_weight(contents, lambda weight: weight + 0.01), tmp_path / "out")
    good, bad = verify_bundle(bundle).checks
    assert (good.outcome, bad.outcome) == (Outcome.PASSED, Outcome.FAILED)
    assert bad.max_error is not None and bad.max_error > bad.tolerance
    assert "differs by" in bad.reason and "more than the 0.0001 allowed" in bad.reason


def test_nan_fails(contents: Contents, tmp_path: Path) -> None:
    bundle = write_bundle(with_weight(contents, lambda weight: weight * math.nan), tmp_path / "out")
    check = verify_bundle(bundle).checks[1]
    assert (check.outcome, check.max_error, check.agreement) == (Outcome.FAILED, math.inf, 0.0)


def test_an_artifact_that_cannot_be_opened_fails_and_the_others_are_still_checked(
    contents: Contents, tmp_path: Path
) -> None:
    artifact = contents.candidates[0].artifact
    assert artifact is not None
    artifact.files[0].write_bytes(b"not a model")
    bad, good = verify_bundle(write_bundle(contents, tmp_path / "out")).checks
    assert (bad.outcome, bad.max_error, good.outcome) == (Outcome.FAILED, None, Outcome.PASSED)
    assert "Protobuf" in bad.reason


def test_outputs_of_another_size_fail(contents: Contents, tmp_path: Path) -> None:
    bundle = write_bundle(with_weight(contents, lambda weight: weight[:2]), tmp_path / "out")
    check = verify_bundle(bundle).checks[1]
    assert check.outcome is Outcome.FAILED
    assert "(4, 2), those expected (4, 3)" in check.reason


def test_a_runtime_nobody_brings_is_skipped(contents: Contents, tmp_path: Path) -> None:
    bundle = write_bundle(of_another_runtime(contents), tmp_path / "out")
    (check,) = verify_bundle(bundle).checks
    assert (check.outcome, check.max_error) == (Outcome.SKIPPED, None)
    assert "no installed package brings the runtime 'abacus'" in check.reason


def test_a_runtime_the_bundle_does_not_have_is_refused(bundle: Path) -> None:
    with pytest.raises(OptionError, match="has nothing for ncnn; it has onnxruntime"):
        verify_bundle(bundle, runtimes=["ncnn"])


def test_logs_and_progress(bundle: Path, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    seen: list[str] = []
    verify_bundle(bundle, runtimes=["onnxruntime"], log_dir=logs, progress=seen.append)
    assert seen == ["onnxruntime float32", "onnxruntime int8"]
    assert sorted(path.name for path in logs.iterdir()) == ["onnxruntime-float32.log", "onnxruntime-int8.log"]


def test_a_damaged_file_stops_before_anything_runs(bundle: Path) -> None:
    (bundle / "plans/int8.json").write_text("{}")
    with pytest.raises(VerificationFailed, match=r"plans/int8\.json"):
        verify_bundle(bundle)


def test_the_command_shows_a_table(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verify(bundle)
    shown = capsys.readouterr().out
    assert "11 files intact" in shown
    assert shown.count("passed") == 3


def test_the_command_gives_json(contents: Contents, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = write_bundle(with_weight(contents, lambda weight: weight * math.nan), tmp_path / "out")
    with pytest.raises(VerificationFailed, match=r"1 of 2 artifacts .* failed: onnxruntime int8") as caught:
        verify(bundle, runtimes="onnxruntime", as_json=True)
    assert caught.value.exit_code == 4
    good, bad = json.loads(capsys.readouterr().out)["checks"]
    assert (good["outcome"], bad["outcome"], bad["max_error"]) == ("passed", "failed", None)


def test_the_command_does_not_call_nothing_a_success(contents: Contents, tmp_path: Path) -> None:
    bundle = write_bundle(of_another_runtime(contents), tmp_path / "out")
    with pytest.raises(RuntimeMissing, match=r"nothing in .* could be run here"):
        verify(bundle)
