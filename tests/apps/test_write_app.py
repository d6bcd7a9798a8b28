"""What `pocketfit app` writes, and what it leaves alone."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from shutil import which

import pytest

from pocketfit.apps import App, Platform, write_app
from pocketfit.bundle import join_bundles, read_bundle
from pocketfit.cli.app import run
from pocketfit.contract import Classes, Contract, Crop, ShorterSide
from pocketfit.errors import InputError, OutputError
from pocketfit.policy import ArtifactRef, default_policy, write_policy
from pocketfit.types import Precision

CONTRACT = Contract(resize=ShorterSide(20), crop=Crop((16, 16)), output=Classes())
THERE, ELSEWHERE = ArtifactRef("onnxruntime", Precision.INT8), ArtifactRef("litert", Precision.INT8)
VECTORS = ("vectors/policy.jsonl", "vectors/frames.jsonl", "vectors/whole.json")


@pytest.fixture
def source(bundle):
    return bundle(CONTRACT, (3, 16, 16))


@pytest.mark.parametrize(
    ("platform", "code"),
    [("cpp", "CMakeLists.txt"), ("java", "src/pocketfit/Preprocessor.java"), ("ios", "Package.swift")],
)
def test_the_command_writes_code_bundle_vectors_and_policy(source, tmp_path: Path, platform, code, capsys):
    write_policy(default_policy([THERE]), tmp_path / "policy.json")
    arguments = ["app", str(source.path), "--platform", platform, "-o", str(tmp_path / "app")]
    assert run([*arguments, "--policy", str(tmp_path / "policy.json")]) == 0
    for name in (code, "bundle/manifest.json", *VECTORS, "policy.json"):
        assert (tmp_path / "app" / name).is_file()
    assert "Build and test it" in capsys.readouterr().out


def test_variants_policy_and_signature_of_the_bundle_go_into_the_app(source, tmp_path: Path):
    policy = default_policy([THERE, replace(THERE, bundle="variants/lite")])
    joined = join_bundles({"full": source, "lite": source}, policy, tmp_path / "joined")
    (joined / "manifest.sig").write_bytes(bytes(64))
    write_app(App(Platform.JAVA, read_bundle(joined)), tmp_path / "app")
    assert read_bundle(tmp_path / "app/bundle").policy() == policy
    for name in ("bundle/manifest.sig", "bundle/variants/lite/preprocess.json", "vectors/ed25519.json"):
        assert (tmp_path / "app" / name).is_file()
    assert not (tmp_path / "app/policy.json").exists()


def test_a_dry_run_names_the_files_and_writes_none(source, tmp_path: Path, capsys):
    assert run(["app", str(source.path), "--platform", "java", "-o", str(tmp_path / "app"), "--dry-run"]) == 0
    assert "bundle/preprocess.json" in capsys.readouterr().out
    assert not (tmp_path / "app").exists()


def test_another_platform_is_refused(source, tmp_path: Path, capsys):
    assert run(["app", str(source.path), "--platform", "cobol", "-o", str(tmp_path / "app")]) == 2
    assert "Allowed: cpp, java, android, ios" in capsys.readouterr().err


def test_the_same_again_replaces_what_was_written(source, tmp_path: Path):
    write_app(App(Platform.CPP, source), tmp_path / "app")
    write_app(App(Platform.JAVA, source), tmp_path / "app")
    assert not (tmp_path / "app/CMakeLists.txt").exists()
    assert (tmp_path / "app/selftest/pocketfit/selftest/SelfTest.java").is_file()


def test_a_foreign_file_is_left_alone(source, tmp_path: Path):
    write_app(App(Platform.CPP, source), tmp_path / "app")
    (tmp_path / "app/notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"notes\.txt, which is not part of a generated app"):
        write_app(App(Platform.CPP, source), tmp_path / "app")


def test_a_changed_file_is_left_alone(source, tmp_path: Path):
    write_app(App(Platform.CPP, source), tmp_path / "app")
    (tmp_path / "app/CMakeLists.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"CMakeLists\.txt was changed"):
        write_app(App(Platform.CPP, source), tmp_path / "app")
    assert (tmp_path / "app/CMakeLists.txt").read_text() == "mine"


def test_a_policy_over_what_the_bundle_lacks_is_refused(source):
    with pytest.raises(InputError, match=r"variant full names litert int8, .* name one of: onnxruntime int8"):
        App(Platform.CPP, source, default_policy([ELSEWHERE]))


@pytest.mark.skipif(which("cmake") is None or which("g++") is None, reason="there is no cmake with g++ here")
def test_cmake_builds_the_app_and_its_test_passes(source, tmp_path: Path):
    write_app(App(Platform.CPP, source), tmp_path / "app")
    for command in (
        ["cmake", "-S", "app", "-B", "build"],
        ["cmake", "--build", "build"],
        ["ctest", "--test-dir", "build", "--output-on-failure"],
    ):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "100% tests passed" in done.stdout
