"""The Swift package: XCTest on Linux, adapters for Apple's frameworks against stand-ins of them, format and syntax."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pocketfit.apps import App, Platform, sources, write_app
from pocketfit.apps.swift import swift_command
from pocketfit.contract import Classes, Contract, Crop, ShorterSide
from pocketfit.errors import RuntimeMissing
from pocketfit.policy import ArtifactRef, default_policy
from pocketfit.types import Precision

STUBS = Path(__file__).parent / "swift_stubs"
# Each after those that it imports.
MODULES = ("CoreGraphics", "QuartzCore", "CoreVideo", "Accelerate", "UIKit", "CoreMedia", "AVFoundation", "CoreML")
RUNTIMES = ("TensorFlowLiteC", "TensorFlowLiteCMetal", "OnnxRuntimeBindings", "CryptoKit")
CODE = {name: path for name, path in sources(Platform.IOS).items() if path.suffix == ".swift"}


def swift(*words: str | Path, cwd: Path | None = None) -> str:
    """What a tool of the toolchain printed; skips where there is none."""
    try:
        command = swift_command(*map(str, words))
    except RuntimeMissing as missing:
        pytest.skip(str(missing))
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def code(*folder: str) -> list[Path]:
    return [path for name, path in CODE.items() if name.parts[: len(folder)] == folder]


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Modules that stand in for Apple's and the runtimes', with enumerations that may grow as theirs may."""
    folder = tmp_path_factory.mktemp("stubs")
    for name in (*MODULES, *RUNTIMES):
        swift("swiftc", "-parse-as-library", "-enable-library-evolution", "-module-name", name, "-I", folder,
              "-emit-module", "-emit-module-path", folder / f"{name}.swiftmodule", STUBS / f"{name}.swift")  # fmt: skip
    return folder


def test_the_package_builds_and_its_tests_pass(bundle, tmp_path: Path):
    contract = Contract(resize=ShorterSide(20), crop=Crop((16, 16)), output=Classes())
    policy = default_policy([ArtifactRef("onnxruntime", Precision.INT8)])
    write_app(App(Platform.IOS, bundle(contract, (3, 16, 16)), policy), tmp_path / "app")
    told = swift("swift", "test", "--package-path", tmp_path / "app", "--scratch-path", tmp_path / "build")
    assert "Executed 6 tests, with 0 failures" in told


@pytest.mark.parametrize("version", ["5", "6"])
def test_the_adapters_fit_what_stands_in_for_apples_modules(stubs, version):
    swift("swiftc", "-typecheck", "-swift-version", version, "-warnings-as-errors", "-parse-as-library", "-I", stubs,
          "-module-name", "Pocketfit", *code("Sources", "Pocketfit"))  # fmt: skip


def test_the_sample_fits_the_package(stubs, tmp_path: Path):
    for module in ("Pocketfit", "PocketfitSelfTest"):
        swift("swiftc", "-parse-as-library", "-module-name", module, "-I", stubs, "-I", tmp_path, "-emit-module",
              "-emit-module-path", tmp_path / f"{module}.swiftmodule", *code("Sources", module))  # fmt: skip
    swift("swiftc", "-typecheck", "-warnings-as-errors", "-parse-as-library", "-I", stubs, "-I", tmp_path,
          "-module-name", "Sample", *code("Sample"))  # fmt: skip


def test_every_adapter_was_looked_at(stubs):
    """An adapter whose `canImport` named no stand-in would be skipped without a word."""
    text = "".join(path.read_text() for path in code("Sources", "Pocketfit"))
    imported = {line.split()[1] for line in text.splitlines() if line.strip().startswith("import ")}
    # The other name of ONNX Runtime's module, and what every toolchain has.
    assert imported - {"onnxruntime_objc", "Foundation", "Dispatch"} <= {*MODULES, *RUNTIMES}


def test_the_code_formats_and_lints_clean():
    swift("swift", "format", "lint", "--strict", *CODE.values())


@pytest.mark.skipif("POCKETFIT_SWIFT" in os.environ, reason="the compiler has looked at it")
@pytest.mark.parametrize("name", CODE, ids=str)
def test_the_syntax_where_there_is_no_compiler(name):
    tree_sitter = pytest.importorskip("tree_sitter", reason="tree-sitter is not installed")
    grammar = pytest.importorskip("tree_sitter_swift", reason="tree-sitter-swift is not installed")
    parser = tree_sitter.Parser(tree_sitter.Language(grammar.language()))
    assert not parser.parse(CODE[name].read_bytes()).root_node.has_error
