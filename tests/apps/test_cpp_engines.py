"""The engines in C++: golden inputs run by the generated program in the runtimes themselves.

POCKETFIT_ORT and POCKETFIT_MNN are folders with a runtime's headers in include/ and its library in lib/, POCKETFIT_NCNN
an installed ncnn; what is not named is built without, and says so.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pocketfit.apps import App, Platform, sources, write_app
from pocketfit.bundle import encrypt_bundle, read_bundle
from pocketfit.cli.app import run

SECONDS = 600
VARIABLES = {"onnxruntime": "POCKETFIT_ORT", "ncnn": "POCKETFIT_NCNN", "mnn": "POCKETFIT_MNN"}
FOLDERS = {name: os.environ.get(variable) for name, variable in VARIABLES.items()}
THERE = tuple(name for name, folder in FOLDERS.items() if folder)
KEY = "00112233445566778899aabbccddeeff" * 2
NET = """
import torch
from torch import nn

class Net(nn.Module):
    input_shape = (1, 8, 8)

    def __init__(self):
        super().__init__()
        self.one, self.two, self.last = nn.Conv2d(1, 16, 3), nn.Conv2d(16, 32, 3, stride=2), nn.Linear(32, 10)

    def forward(self, x):
        return self.last(torch.relu(self.two(torch.relu(self.one(x)))).mean((2, 3)))

def build():
    torch.manual_seed(0)
    return Net()
"""
needs_tools = pytest.mark.skipif(None in (shutil.which("cmake"), shutil.which("g++")), reason="no cmake, or no g++")
needs_runtime = pytest.mark.skipif(not THERE, reason=f"none of {', '.join(VARIABLES.values())} names a runtime")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("net")
    (folder / "net.py").write_text(NET)
    line = ["fit", f"{folder / 'net.py'}:build", "--data", "digits", "-o", str(folder / "bundle"), "--keep-all"]
    limits = ["--max-drop", "99%", "--precisions", "float32,int8", "--cache", str(folder / "cache")]
    assert run([*line, *limits, "--targets", ",".join(FOLDERS)]) == 0
    return folder / "bundle"


@pytest.fixture(scope="module")
def golden(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, built as the generated project builds it with the runtimes that are there."""
    folder = tmp_path_factory.mktemp("golden")
    write_app(App(Platform.CPP, read_bundle(bundle)), folder / "app")
    flags = ["-DCMAKE_CXX_FLAGS=-Wall -Wextra -Wconversion -Werror"]
    flags += [f"-DPOCKETFIT_{name.upper()}={FOLDERS[name]}" for name in THERE]
    done(["cmake", "-S", str(folder / "app"), "-B", str(folder / "build"), *flags])
    done(["cmake", "--build", str(folder / "build"), "--target", "golden"])
    return folder / "build" / "golden"


def done(command: list[str], code: int = 0) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


@needs_tools
def test_what_was_not_built_is_said(golden: Path, bundle: Path) -> None:
    told = done([str(golden), str(bundle)], 0 if THERE else 2)
    for name in FOLDERS:
        assert (f"{name} int8: not run, built without {name}" in told) is (name not in THERE)


@needs_tools
def test_what_has_no_engine_is_not_run_whatever_it_takes(golden: Path, bundle: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(bundle, tmp_path / "other"))
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["artifacts"][0]["runtime"] = "litert"
    manifest["artifacts"][0]["input"]["dtype"] = "int8"
    (other / "manifest.json").write_text(json.dumps(manifest))
    assert "not run, built without litert" in done([str(golden), str(other)], 0 if THERE else 2)


@needs_tools
@pytest.mark.parametrize("arguments", [(), ("--threads",), ("--threads", "0", "bundle"), ("nowhere",)])
def test_a_line_that_cannot_be_meant(golden: Path, arguments: tuple[str, ...]) -> None:
    assert done([str(golden), *arguments], 2).startswith("golden: ")


@needs_tools
@needs_runtime
@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_runtimes_give_the_expected_answers(golden: Path, bundle: Path, threads: str) -> None:
    told = done([str(golden), "--threads", threads, str(bundle)]).splitlines()
    for name in THERE:
        for precision in ("float32", "int8"):
            assert any(line.startswith(f"{name} {precision}: off by ") and line[-1].isdigit() for line in told)


@needs_tools
@needs_runtime
def test_other_answers_are_told(golden: Path, bundle: Path, tmp_path: Path) -> None:
    wrong = Path(shutil.copytree(bundle, tmp_path / "wrong"))
    name = "golden/expected-float32.bin"
    (wrong / name).write_bytes(b"\0\0\x80\x3f" + (wrong / name).read_bytes()[4:])
    manifest = json.loads((wrong / "manifest.json").read_text())
    manifest["files"][name]["sha256"] = hashlib.sha256((wrong / name).read_bytes()).hexdigest()
    (wrong / "manifest.json").write_text(json.dumps(manifest))
    assert "DIFFERS" in done([str(golden), str(wrong)], 4)


@needs_tools
@needs_runtime
def test_encrypted_models_are_opened_from_memory(golden: Path, bundle: Path, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    encrypted = encrypt_bundle(read_bundle(bundle), bytes.fromhex(KEY), tmp_path / "encrypted")
    assert "off by" in done([str(golden), "--model-key", KEY, str(encrypted)])
    assert "there is no key" in done([str(golden), str(encrypted)], 4)


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++ here")
def test_the_engine_of_mnn_compiles_against_a_stand_in() -> None:
    source = next(path for path in sources(Platform.CPP).values() if path.name == "mnn_net.cpp")
    flags = ["-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    done(["g++", *flags, f"-I{Path(__file__).parent / 'android' / 'mnn'}", str(source)])
