"""The worked examples: every command of their READMEs runs, and what they print is what they promise."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = ("image_classification", "face_verification")


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RUN = load(EXAMPLES / "run.py")


def commands(name: str) -> list[str]:
    told: list[str] = RUN.commands((EXAMPLES / name / "README.md").read_text(encoding="utf-8"))
    # One runtime is enough to see that a command runs.
    return [re.sub(r"--targets \S+", "--targets onnxruntime", command) for command in told]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "src"))
    for name in NAMES:
        for script in (EXAMPLES / name).glob("*.py"):
            shutil.copy(script, tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_every_script_is_run_and_is_there(name: str) -> None:
    scripts = {path.name for path in (EXAMPLES / name).glob("*.py")}
    run = {word.partition(":")[0] for command in commands(name) for word in command.split() if ".py" in word}
    assert run == scripts


@pytest.mark.parametrize("name", NAMES)
def test_every_command_shows_what_it_printed(name: str) -> None:
    blocks = re.findall(r"```console\n(.*?)```", (EXAMPLES / name / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    told = "\n".join(blocks).split("$ ")
    shown = [text.partition("\n")[2].strip() for text in told if text.startswith(("pocketfit fit", "pocketfit bundle"))]
    assert shown and all(shown)


def test_an_output_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    example = tmp_path / "example"
    example.mkdir()
    readme = "Text.\n\n```console\n$ python say.py new\nold\n```\n\nMore.\n"
    (example / "README.md").write_text(readme)
    (example / "say.py").write_text("import sys\nprint(sys.argv[1])\n")
    RUN.main(example, None)
    assert (example / "README.md").read_text() == readme.replace("\nold\n", "\nnew\n")


def test_a_command_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(RUN.subprocess.CalledProcessError):
        RUN.run("python none.py", tmp_path)


def test_portraits_of_one_person_are_alike_and_aligned(folder: Path) -> None:
    portraits = load(folder / "portraits.py")
    from pocketfit.matching import align

    faces = [align(*portraits.photo(person, index)).astype(float).ravel() for person in (0, 1) for index in (0, 1)]
    alike = np.corrcoef(faces)
    assert min(alike[0, 1], alike[2, 3]) > 0.8 > 0.5 > alike[0, 2]


@pytest.mark.slow
def test_image_classification(folder: Path) -> None:
    printed = [
        RUN.run(command, folder)
        for command in commands("image_classification")
        if "cmake" not in command and "ctest" not in command
    ]
    answers = next(text for text in printed if text.startswith("3/0561"))
    assert [line.split(": ")[1][0] for line in answers.splitlines()] == ["3", "8", "9"]
    assert (folder / "app" / "include" / "pocketfit" / "preprocessor.hpp").exists()


@pytest.mark.slow
def test_face_verification(folder: Path) -> None:
    told = commands("face_verification")
    first = told[: next(i for i, command in enumerate(told) if "portraits.py" in command)]
    printed = [RUN.run(command, folder) for command in first]
    assert "Nothing is claimed" not in printed[1] and "onnxruntime int8" in printed[1]
    counts = {
        line.split(":")[0].strip().rstrip("0123456789").strip(): line
        for line in printed[-1].splitlines()
        if ": " in line
    }
    enrolled, strangers, copies = (counts[kind] for kind in ("enrolled, live", "strangers, live", "copies"))
    assert count(enrolled, "right") > 0.6 * total(enrolled)
    assert count(strangers, "taken for another") < 0.1 * total(strangers)
    assert count(copies, "not_live") > 0.95 * total(copies)
    assert (folder / "gallery.bin").read_bytes().startswith(b"PFGALL01")


def total(line: str) -> int:
    return int(line.partition(":")[0].split()[-1])


def count(line: str, said: str) -> int:
    found = re.search(rf"(\d+) {said}", line)
    return int(found[1]) if found else 0
