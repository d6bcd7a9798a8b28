"""One bundle of several, its policy, and what a reader refuses of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pocketfit.bundle import Contents, Outcome, join_bundles, read_bundle, verify_bundle, write_bundle
from pocketfit.cli.app import run
from pocketfit.errors import InputError, VerificationFailed
from pocketfit.policy import ArtifactRef, default_policy
from pocketfit.policy.checks import check_policy
from pocketfit.types import FieldDevice, Precision

Edit = Callable[[Path, Callable[[dict], object]], None]
INT8 = ("onnxruntime", Precision.INT8)


@pytest.fixture
def parts(contents: Contents, tmp_path: Path) -> dict[str, Path]:
    """The whole bundle, and one of INT8 alone."""
    small = dataclasses.replace(
        contents,
        model="small",
        candidates=contents.candidates[1:2],
        golden_outputs={INT8: contents.golden_outputs[INT8]},
        tolerances={INT8: contents.tolerances[INT8]},
    )
    return {
        "full": write_bundle(contents, tmp_path / "net"),
        "lite": write_bundle(small, tmp_path / "small"),
    }


def join(parts: dict[str, Path], out: Path, policy: str | None = "default") -> Path:
    bundles = {name: read_bundle(path) for name, path in parts.items()}
    refs = [ArtifactRef(*INT8), ArtifactRef(*INT8, "variants/lite")]
    return join_bundles(bundles, None if policy is None else default_policy(refs), out)


@pytest.fixture
def bundle(parts: dict[str, Path], tmp_path: Path) -> Path:
    return join(parts, tmp_path / "out")


def test_each_variant_is_a_whole_bundle(bundle: Path, parts: dict[str, Path]) -> None:
    read = read_bundle(bundle)
    assert (read.name, read.manifest.model.name, list(read.others)) == ("full", "linear", ["lite"])
    lite = read.others["lite"]
    assert lite.manifest == read_bundle(parts["lite"]).manifest == read_bundle(lite.path).manifest
    assert lite.golden_inputs().shape == (4, 1, 4, 4)


def test_the_manifest_lists_the_files_of_all(bundle: Path) -> None:
    there = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert set(read_bundle(bundle).manifest.files) == there - {"manifest.json"}


def test_the_artifacts_are_named_as_policies_do_the_chosen_first(bundle: Path) -> None:
    assert read_bundle(bundle).artifacts == (
        ArtifactRef("onnxruntime", Precision.INT8),
        ArtifactRef("onnxruntime", Precision.FLOAT32),
        ArtifactRef("onnxruntime", Precision.INT8, "variants/lite"),
    )


def test_all_variants_are_verified(bundle: Path) -> None:
    result = verify_bundle(bundle)
    assert [(one.name, len(one.with_outcome(Outcome.PASSED))) for one in result.variants] == [("full", 3), ("lite", 1)]
    assert all(one.preprocess is not None and one.preprocess.outcome is Outcome.PASSED for one in result.variants)


def test_the_command_joins_with_a_default_policy(parts: dict[str, Path], tmp_path: Path, capsys) -> None:
    named = [f"{name}={path}" for name, path in parts.items()]
    extra = [f"high-security={parts['full']}"]
    assert run(["bundle", "join", *named, *extra, "--policy", "default", "-o", str(tmp_path / "out")]) == 0
    policy = read_bundle(tmp_path / "out").policy()
    assert policy is not None
    assert {one.name: one.artifacts[0].bundle for one in policy.variants} == {
        "full": ".",
        "fast": "variants/lite",
        "lite": "variants/lite",
        "high-security": "variants/high-security",
    }
    assert not [finding for finding in check_policy(policy) if finding.is_fault]
    capsys.readouterr()
    assert run(["verify", str(tmp_path / "out"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [told["variant"], *(other["variant"] for other in told["others"])] == ["full", "high-security", "lite"]


def test_joining_again_replaces_the_bundle(bundle: Path, parts: dict[str, Path]) -> None:
    join(parts, bundle, policy=None)
    assert read_bundle(bundle).policy() is None
    assert not (bundle / "policy.json").exists()


@pytest.mark.parametrize("names", [["full"], ["full", "Lite"], ["full", "a/b"], ["full", "-"], ["full", "."]])
def test_what_is_no_variant_is_refused(parts: dict[str, Path], tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(InputError, match=r"at least two|small letters"):
        join(dict.fromkeys(names, parts["full"]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_bundle_of_variants_is_no_variant(bundle: Path, parts: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has variants already"):
        join({"one": parts["full"], "two": bundle}, tmp_path / "again")


def test_a_policy_over_what_is_not_there_is_refused(parts: dict[str, Path], tmp_path: Path) -> None:
    bundles = {name: read_bundle(path) for name, path in parts.items()}
    policy = default_policy([ArtifactRef("onnxruntime", Precision.FLOAT16, "variants/tiny")])
    with pytest.raises(InputError, match="names onnxruntime float16 in variants/tiny, which the bundle lacks"):
        join_bundles(bundles, policy, tmp_path / "out")


def test_a_bundle_of_one_network_has_a_policy_too(contents: Contents, tmp_path: Path) -> None:
    policy = default_policy([ArtifactRef(*INT8)])
    bundle = write_bundle(dataclasses.replace(contents, policy=policy), tmp_path / "out")
    assert read_bundle(bundle).policy() == policy
    with pytest.raises(InputError, match="the policy cannot be followed: the variant full names ncnn int8"):
        other = dataclasses.replace(contents, policy=default_policy([ArtifactRef("ncnn", Precision.INT8)]))
        write_bundle(other, tmp_path / "other")


def test_tiers_are_recorded(contents: Contents, tmp_path: Path) -> None:
    tiers = (
        FieldDevice("low", "a phone", "onnxruntime", Precision.INT8, "cpu", 2, ms=3.5),
        FieldDevice("low", "other"),
    )
    manifest = read_bundle(write_bundle(dataclasses.replace(contents, tiers=tiers), tmp_path / "out")).manifest
    assert [(entry.device, entry.runtime, entry.ms) for entry in manifest.tiers] == [
        ("a phone", "onnxruntime", 3.5),
        ("other", None, None),
    ]


def test_a_changed_file_of_a_variant_is_named(bundle: Path) -> None:
    (bundle / "variants/lite/labels.txt").write_text("other")
    with pytest.raises(VerificationFailed, match=r"^variants/lite/labels\.txt is not the file"):
        read_bundle(bundle)


def test_a_variant_may_not_be_exchanged(bundle: Path, edit_manifest: Edit) -> None:
    """Its own manifest would vouch for another file than the outer one does."""
    edit_manifest(bundle / "variants/lite", lambda data: data["files"]["labels.txt"].update(sha256="0" * 64))
    with pytest.raises(VerificationFailed, match=r"^variants/lite/manifest\.json is not the file"):
        read_bundle(bundle)


def test_both_manifests_have_to_say_the_same(bundle: Path, edit_manifest: Edit) -> None:
    import hashlib

    edit_manifest(bundle / "variants/lite", lambda data: data["files"]["labels.txt"].update(sha256="0" * 64))
    content = (bundle / "variants/lite/manifest.json").read_bytes()
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    edit_manifest(bundle, lambda data: data["files"].update({"variants/lite/manifest.json": entry}))
    with pytest.raises(VerificationFailed, match=r"labels\.txt is another file to"):
        read_bundle(bundle)


@pytest.mark.parametrize(
    ("variants", "said"),
    [
        ({"full": ".", "lite": "../lite"}, "not a relative path inside"),
        ({"full": ".", "lite": "variants/tiny"}, "referred to but has no entry"),
        ({"full": ".", "lite": "."}, "exactly one"),
        ({"lite": "variants/lite"}, "exactly one"),
        ({"Full": "."}, "string_pattern|should match pattern"),
    ],
    ids=["outside", "absent", "two of its own", "none of its own", "name"],
)
def test_a_wrong_list_of_variants_is_refused(bundle: Path, edit_manifest: Edit, variants: dict, said: str) -> None:
    edit_manifest(bundle, lambda data: data.update(variants=variants))
    with pytest.raises(InputError, match=said):
        read_bundle(bundle)


def test_measuring_the_first_variant_names_the_others(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["measure", str(bundle), "--runs", "2", "--json"]) == 0
    told = capsys.readouterr()
    assert str(bundle / "variants/lite") in told.err
    assert [one["precision"] for one in json.loads(told.out)["measured"]] == ["float32", "int8"]
    assert run(["measure", str(bundle / "variants/lite"), "--runs", "2", "--json"]) == 0
    assert [one["precision"] for one in json.loads(capsys.readouterr().out)["measured"]] == ["int8"]
