"""A generated app's Kotlin, compiled once against stand-ins and run on the JVM.

POCKETFIT_KOTLIN is the unpacked npm package `kotlin-compiler`; without it these tests are skipped. POCKETFIT_ORT_JAR,
the jar of ONNX Runtime for Java, POCKETFIT_NCNN, an installed ncnn, and POCKETFIT_MNN, a folder with MNN's include/ and
lib/libMNN.so, let their engines run too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

from pocketfit.apps import App, Platform, sources, write_app
from pocketfit.bundle import Bundle, read_bundle

HERE = Path(__file__).parent
KOTLIN, ORT = os.environ.get("POCKETFIT_KOTLIN"), os.environ.get("POCKETFIT_ORT_JAR")
# By runtime, what JNI is built with.
NATIVE = {name: folder for name in ("ncnn", "mnn") if (folder := os.environ.get(f"POCKETFIT_{name.upper()}"))}
HAS = {"litert": True, "onnxruntime": ORT is not None, "ncnn": "ncnn" in NATIVE, "mnn": "mnn" in NATIVE}
# What the compiler itself runs on, and what a program needs.
LIBRARIES = ("kotlin-stdlib", "kotlinx-coroutines-core-jvm", "annotations-13.0")
COMPILER = ("kotlin-preloader", "kotlin-compiler", "kotlin-reflect", "kotlin-script-runtime", *LIBRARIES)
SECONDS = 300


@dataclass(frozen=True)
class Program:
    """The compiled program: `program/Main.kt` says what it can do."""

    classes: tuple[str, ...]
    native: Path

    def run(self, *arguments: object, **properties: object) -> subprocess.CompletedProcess[str]:
        given = {
            "stub.python": sys.executable,
            "stub.litert": HERE / "litert_process.py",
            "java.library.path": self.native,
            **properties,
        }
        options = [f"-D{name}={value}" for name, value in given.items()]
        command = ["java", "-Xmx256m", *options, "-cp", os.pathsep.join(self.classes), "program.MainKt"]
        return subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, timeout=SECONDS)

    def compile(self, files: list[Path], out: Path) -> subprocess.CompletedProcess[str]:
        return _kotlinc(Path(KOTLIN or ""), self.classes, out, files)

    def told(self, *arguments: object, **properties: object) -> list[dict[str, Any]]:
        """What it prints, a line an object; MNN prints lines of its own."""
        done = self.run(*arguments, **properties)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@dataclass(frozen=True)
class Generated:
    """A generated app with the bundle that is in it.

    Args:
        source: the bundle.
        assets: of the app's module.
        home: of the app on its phone.
    """

    source: Bundle
    assets: Path
    home: Path

    def arguments(self, runtime: str, delegate: str = "cpu") -> tuple[object, ...]:
        return (self.assets, self.home, runtime, delegate)


@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.skipif(not there, reason=f"there is no {name} for the JVM here"))
        for name, there in HAS.items()
    ]
)
def runtime(request: pytest.FixtureRequest) -> str:
    """Each that can run behind the Kotlin here."""
    return str(request.param)


@pytest.fixture(scope="session")
def kotlin(tmp_path_factory: pytest.TempPathFactory) -> Program:
    if KOTLIN is None or shutil.which("javac") is None:
        pytest.skip("POCKETFIT_KOTLIN names no kotlin-compiler, or there is no javac")
    folder = tmp_path_factory.mktemp("kotlin")
    jars = [str(Path(KOTLIN) / "lib" / f"{name}.jar") for name in LIBRARIES]
    core, stubs, app = (folder / name for name in ("core", "stubs", "app"))
    _javac(core, [path for path in sources(Platform.JAVA).values() if path.suffix == ".java"], "--release", "8")
    missing = [HERE / "no_onnxruntime"] if ORT is None else []
    _javac(stubs, [path for home in (HERE / "stubs", *missing) for path in home.rglob("*.java")])
    classes = [str(core), str(stubs), *([ORT] if ORT else []), *jars]
    _check(_kotlinc(Path(KOTLIN), classes, app, [*_kotlin_of_the_app(), HERE / "program" / "Main.kt"]))
    return Program((str(app), *classes), _native(folder / "native"))


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Bundle]:
    """Fits a small network of net.py, for images of so many pixels a side, in INT8 for what can run here."""
    from pocketfit.contract import Contract, Crop, ShorterSide
    from pocketfit.pipeline import FitRequest, fit
    from pocketfit.types import Precision

    def build(name: str, side: int) -> Bundle:
        folder = tmp_path_factory.mktemp("fitted")
        fit(
            FitRequest(
                model=f"{HERE / 'net.py'}:{name}",
                data=str(_photos(folder / "photos")),
                out=folder / "bundle",
                preprocess=Contract(
                    resize=ShorterSide(side + 2),
                    crop=Crop((side, side)),
                    mean=(0.485, 0.456, 0.406),
                    std=(0.229, 0.224, 0.225),
                ),
                targets=("onnxruntime", "litert", *NATIVE),
                precisions=(Precision.INT8,),
                keep_all=True,
                cache=folder / "cache",
            )
        )
        _for_older_onnxruntime(folder / "bundle")
        return read_bundle(folder / "bundle")

    return build


@pytest.fixture(scope="session")
def generated(fitted: Callable[[str, int], Bundle], tmp_path_factory: pytest.TempPathFactory) -> Generated:
    """One network in an app, with a policy beside it."""
    from pocketfit.policy import ArtifactRef, default_policy

    folder = tmp_path_factory.mktemp("generated")
    source = fitted("build", 24)
    policy = default_policy([ArtifactRef(one.runtime, one.precision) for one in source.manifest.artifacts])
    write_app(App(Platform.ANDROID, source, policy), folder / "app")
    return Generated(source, folder / "app/pocketfit/src/main/assets", folder / "home")


def _kotlin_of_the_app() -> list[Path]:
    return [path for path in sources(Platform.ANDROID).values() if path.suffix == ".kt"]


def _javac(out: Path, files: list[Path], *flags: str) -> None:
    _run(["javac", *flags, "-nowarn", "-d", str(out), *map(str, files)])


def _kotlinc(home: Path, classes: Sequence[str], out: Path, files: list[Path]) -> subprocess.CompletedProcess[str]:
    compiler = os.pathsep.join(str(home / "lib" / f"{name}.jar") for name in COMPILER)
    main = "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"
    lint = ["-Werror", "-Wextra", "-progressive"]
    flags = ["-kotlin-home", str(home), "-no-reflect", "-no-stdlib", "-jvm-target", "17", *lint]
    command = ["java", "-Xmx1g", "-cp", compiler, main, *flags, "-cp", os.pathsep.join(classes), "-d", str(out)]
    return subprocess.run([*command, *map(str, files)], capture_output=True, text=True, timeout=SECONDS)


def _native(folder: Path) -> Path:
    """The C++ of the module, with the runtimes that are there."""
    folder.mkdir()
    if not NATIVE or shutil.which("cmake") is None:
        return folder
    java = Path(shutil.which("javac") or "").resolve().parents[1] / "include"
    flags = f"-I{java} -I{java / 'linux'} -Werror"
    cpp = folder / "source"
    for name, path in sources(Platform.ANDROID).items():
        if "cpp" in name.parts:
            copied = cpp / PurePosixPath(*name.parts[name.parts.index("cpp") + 1 :])
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copied)
    named = [f"-DPOCKETFIT_{name.upper()}={home}" for name, home in NATIVE.items()]
    _run(["cmake", "-S", str(cpp), "-B", str(folder), *named, f"-DCMAKE_CXX_FLAGS={flags}"])
    _run(["cmake", "--build", str(folder)])
    return folder


def _run(command: list[str]) -> None:
    _check(subprocess.run(command, capture_output=True, text=True, timeout=SECONDS))


def _check(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr


def _photos(folder: Path) -> Path:
    from PIL import Image

    rng = np.random.default_rng(0)
    for index in range(28):
        path = folder / f"class{index % 7}" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(path)
    return folder


def _for_older_onnxruntime(bundle: Path) -> None:
    """The last ONNX Runtime for Java that is at hand as a jar is 1.17, which reads files of version 9."""
    import hashlib

    import onnx

    name = "onnxruntime/int8/model.onnx"
    model = onnx.load(bundle / name)
    model.ir_version = 9
    content = model.SerializeToString(deterministic=True)
    (bundle / name).write_bytes(content)
    manifest: dict[str, Any] = json.loads((bundle / "manifest.json").read_text())
    manifest["files"][name] = _entry(content, hashlib.sha256(content).hexdigest())
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def _entry(content: bytes, sha256: str) -> Mapping[str, object]:
    return {"bytes": len(content), "sha256": sha256}
