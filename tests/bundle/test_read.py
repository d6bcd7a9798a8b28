from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketfit.bundle import Contents, read_bundle, write_bundle
from pocketfit.errors import InputError, VerificationFailed
from pocketfit.types import Precision

Edit = Callable[[Path, Callable[[dict], object]], None]


@pytest.fixture
def bundle(contents: Contents, tmp_path: Path) -> Path:
    return write_bundle(contents, tmp_path / "out")


def test_what_was_written_is_read(contents: Contents, bundle: Path) -> None:
    read = read_bundle(bundle)
    np.testing.assert_array_equal(read.golden_inputs(), contents.golden_inputs)
    for entry, outputs in zip(read.manifest.artifacts, contents.golden_outputs.values(), strict=True):
        np.testing.assert_array_equal(read.golden_outputs(entry), outputs)


def test_an_artifact_is_read_with_its_files_in_the_bundle(contents: Contents, bundle: Path) -> None:
    read = read_bundle(bundle)
    artifact = read.artifact(read.manifest.artifacts[1])
    assert artifact.files == (bundle / "onnxruntime/int8/model.onnx",)
    assert (artifact.precision, artifact.input.shape) == (Precision.INT8, (1, 1, 4, 4))
    assert artifact.notes == ("Coarse.",)


def test_a_bundle_can_be_moved(bundle: Path, tmp_path: Path) -> None:
    bundle.rename(tmp_path / "elsewhere")
    assert read_bundle(tmp_path / "elsewhere").manifest.model.name == "linear"


def test_a_file_that_is_not_listed_is_ignored(bundle: Path) -> None:
    (bundle / "README.txt").write_text("added by the app's team")
    read_bundle(bundle)


def test_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a bundle: cannot read its manifest\.json \(No such file"):
        read_bundle(tmp_path)


def test_a_manifest_that_is_not_json(bundle: Path) -> None:
    (bundle / "manifest.json").write_bytes(b"\xff{")
    with pytest.raises(InputError, match="is not JSON"):
        read_bundle(bundle)


def test_the_manifest_of_another_program(bundle: Path) -> None:
    (bundle / "manifest.json").write_text('{"name": "app"}')
    with pytest.raises(InputError, match="belongs to another program"):
        read_bundle(bundle)


def test_a_newer_schema(bundle: Path, edit_manifest: Edit) -> None:
    edit_manifest(bundle, lambda data: data.update(schema_version=5, news="unknown here"))
    with pytest.raises(InputError, match=r"has manifest schema 5; .* reads up to 4\. Install a newer Pocketfit"):
        read_bundle(bundle)


def test_an_accuracy_of_an_older_schema_is_top_1_in_per_cent(bundle: Path, edit_manifest: Edit) -> None:
    new = [artifact.evidence for artifact in read_bundle(bundle).manifest.artifacts]

    def age(data: dict[str, Any]) -> None:
        data.update(schema_version=2)
        for evidence in filter(None, (artifact["evidence"] for artifact in data["artifacts"])):
            accuracy = evidence["accuracy"]
            accuracy["percent"], accuracy["float_percent"] = accuracy.pop("value"), accuracy.pop("float_value")
            del accuracy["unit"]

    edit_manifest(bundle, age)
    assert [artifact.evidence for artifact in read_bundle(bundle).manifest.artifacts] == new
    assert any(evidence and evidence.accuracy for evidence in new)


@pytest.mark.parametrize("field", ["artifacts", "golden", "files", "schema_version"])
def test_a_missing_field_is_named(bundle: Path, edit_manifest: Edit, field: str) -> None:
    edit_manifest(bundle, lambda data: data.pop(field))
    with pytest.raises(InputError, match=f"is not valid at {field}: Field required"):
        read_bundle(bundle)


def test_an_unknown_field_is_named(bundle: Path, edit_manifest: Edit) -> None:
    edit_manifest(bundle, lambda data: data["artifacts"][0].update(surprise=1))
    with pytest.raises(InputError, match=r"is not valid at artifacts\.0\.surprise: Extra inputs"):
        read_bundle(bundle)


@pytest.mark.parametrize("name", ["onnxruntime/int8/model.onnx", "golden/inputs.bin", "plans/int8.json", "labels.txt"])
def test_a_changed_file_is_named(bundle: Path, name: str) -> None:
    data = bytearray((bundle / name).read_bytes())
    data[-1] ^= 1
    (bundle / name).write_bytes(data)
    with pytest.raises(VerificationFailed, match=f"^{name} is not the file that was written"):
        read_bundle(bundle)


def test_a_missing_file_is_named(bundle: Path) -> None:
    (bundle / "labels.txt").unlink()
    with pytest.raises(VerificationFailed, match=r"^labels\.txt cannot be read"):
        read_bundle(bundle)


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "a/../../secret", "C:secret", "a\\..\\secret", "", ".", "a//b", "a\0b"]
)
def test_a_name_that_leads_out_of_the_bundle_is_refused(bundle: Path, edit_manifest: Edit, name: str) -> None:
    edit_manifest(bundle, lambda data: data["files"].update({name: data["files"]["labels.txt"]}))
    with pytest.raises(InputError, match="is not a relative path inside the bundle"):
        read_bundle(bundle)


def test_an_artifact_may_not_lead_out_of_the_bundle_either(bundle: Path, edit_manifest: Edit) -> None:
    edit_manifest(bundle, lambda data: data["artifacts"][0].update(files=["../model.onnx"]))
    with pytest.raises(InputError, match=r"is not valid at artifacts\.0\.files\.0: .*relative path inside the bundle"):
        read_bundle(bundle)


def test_a_link_that_leads_out_of_the_bundle_is_refused(bundle: Path, tmp_path: Path) -> None:
    outside = tmp_path / "labels.txt"
    (bundle / "labels.txt").rename(outside)
    (bundle / "labels.txt").symlink_to(outside)
    with pytest.raises(InputError, match=r"labels\.txt is a link that leads out of the bundle"):
        read_bundle(bundle)


def test_a_file_without_a_hash_may_not_be_used(bundle: Path, edit_manifest: Edit) -> None:
    edit_manifest(bundle, lambda data: data["files"].pop("onnxruntime/int8/model.onnx"))
    with pytest.raises(InputError, match=r"int8/model\.onnx' is referred to but has no entry in files"):
        read_bundle(bundle)


def test_an_unknown_golden_set_is_named(bundle: Path, edit_manifest: Edit) -> None:
    edit_manifest(bundle, lambda data: data["artifacts"][0].update(golden="absent"))
    with pytest.raises(InputError, match="onnxruntime float32 refers to the golden set 'absent'"):
        read_bundle(bundle)


def test_a_golden_file_that_does_not_fit_its_shape(bundle: Path, edit_manifest: Edit) -> None:
    edit_manifest(bundle, lambda data: data["golden"]["inputs"].update(shape=[5, 1, 4, 4]))
    with pytest.raises(VerificationFailed, match=r"golden/inputs.bin has 256 bytes; shape \(5, 1, 4, 4\) .* needs 320"):
        read_bundle(bundle).golden_inputs()
