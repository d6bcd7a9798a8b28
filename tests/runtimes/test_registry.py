"""Runtimes by name: built in, unknown, and brought by another package, which is the example of docs/runtimes.md."""

import os
import re
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pocketfit.errors import OptionError, RuntimeMissing
from pocketfit.runtimes import BUILT_IN, ENTRY_POINTS, all_runtimes, get_runtime, is_installed, require
from pocketfit.runtimes.onnxruntime import OnnxRuntime
from pocketfit.testing import RuntimeContract

DOC = (Path(__file__).parents[2] / "docs/runtimes.md").read_text(encoding="utf-8")


def block(name: str) -> str:
    """The code block of the page whose first line is a comment with that file name."""
    (found,) = re.findall(rf"^```\w+\n# {re.escape(name)}\n(.*?)^```$", DOC, flags=re.MULTILINE | re.DOTALL)
    return str(found)


def run_page(name: str) -> dict[str, Any]:
    """What the code block defines."""
    defined: dict[str, Any] = {}
    exec(compile(block(name), f"docs/runtimes.md: {name}", "exec"), defined)
    return defined


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example as pip would install it: the module, and the metadata that the entry point is found by."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "pocketfit_torchfile.py").write_text(block("pocketfit_torchfile.py"))
    project = tomllib.loads(block("pyproject.toml"))["project"]
    info = folder / f"pocketfit_torchfile-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    entries = "\n".join(f"{name} = {target}" for name, target in project["entry-points"][ENTRY_POINTS].items())
    (info / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\n{entries}\n")
    return folder


@contextmanager
def on_path(*folders: Path) -> Iterator[None]:
    """Packages in these folders are found by this process and by its children."""
    with pytest.MonkeyPatch.context() as patch:
        for folder in folders:
            patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)))
        yield
    sys.modules.pop("pocketfit_torchfile", None)


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_runtimes_have_the_name_they_are_listed_under(name: str) -> None:
    assert get_runtime(name).info.name == name


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(OptionError, match=r"unknown runtime 'tpu'. Known here: onnxruntime, litert, ncnn"):
        get_runtime("tpu")


@pytest.mark.parametrize(("typed", "meant"), [("onnx-runtime", "onnxruntime"), ("lite-rt", "litert"), ("ncn", "ncnn")])
def test_misspelt_name_is_guessed(typed: str, meant: str) -> None:
    with pytest.raises(OptionError, match=f"Did you mean '{meant}'"):
        get_runtime(typed)


@pytest.mark.parametrize(
    ("extra", "fix"), [("absent", 'pip install "pocketfit[absent]"'), ("", "pip install absent-one absent-two")]
)
def test_missing_packages_come_with_the_command_that_installs_them(extra: str, fix: str) -> None:
    class Absent(OnnxRuntime):
        info = replace(OnnxRuntime.info, title="Absent", extra=extra, packages=("numpy", "absent-one", "absent-two"))

    assert not is_installed(Absent())
    with pytest.raises(
        RuntimeMissing, match=re.escape("Absent needs absent-one, absent-two, not installed here")
    ) as caught:
        require(Absent())
    assert str(caught.value).endswith(fix)


def test_another_packages_runtime_comes_and_goes_with_its_package(site: Path) -> None:
    with on_path(site):
        assert [runtime.info.name for runtime in all_runtimes()] == [*BUILT_IN, "torchfile"]
    with pytest.raises(OptionError, match="unknown runtime 'torchfile'"):
        get_runtime("torchfile")


def test_built_in_runtimes_cannot_be_replaced(site: Path, tmp_path: Path) -> None:
    info = tmp_path / "impostor-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: impostor\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\nncnn = pocketfit_torchfile:TorchFile\n")
    with on_path(site, tmp_path):
        assert type(get_runtime("ncnn")).__module__ == "pocketfit.runtimes.ncnn"


@pytest.mark.slow
class TestThePage(run_page("tests/test_torchfile.py")["TestTorchFile"]):  # type: ignore[misc]
    """The suite as the page runs it, over the runtime that the page defines."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def installed(cls, site: Path) -> Iterator[None]:
        threads = torch.get_num_threads()
        with on_path(site):
            yield
        torch.set_num_threads(threads)  # the example sets them for the whole process


def test_the_page_names_every_attribute_of_the_suite() -> None:
    attributes = {name for name in RuntimeContract.__annotations__ if not name.startswith("_")}
    assert set(re.findall(r"^\| `(\w+)` \|", DOC, flags=re.MULTILINE)) == attributes
