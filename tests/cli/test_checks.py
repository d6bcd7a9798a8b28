import os
import platform
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from pocketfit.cli.checks import Check, host, packages
from pocketfit.runtimes import BUILT_IN, get_runtime
from pocketfit.types import RuntimeInfo

X86 = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu sse2 avx2 avx512f{}\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd aes{}\n"


def test_a_finding_that_is_not_ok_says_why_and_what_to_do() -> None:
    for check in (*host.all_checks(), *packages.all_checks()):
        assert check.found
        assert check.state == "ok" or check.why


@pytest.mark.parametrize(
    ("version", "state"), [((3, 10), "problem"), ((3, 11), "ok"), ((3, 13), "ok"), ((3, 14), "problem")]
)
def test_python(version: tuple[int, int], state: str) -> None:
    assert host.check_python(version).state == state


@pytest.mark.parametrize(
    ("cpuinfo", "state", "found"),
    [
        (X86.format(" avx512_vnni"), "ok", "avx2, avx512f, avx512_vnni"),
        (X86.format(""), "warning", "avx2, avx512f"),
        (ARM.format(" asimddp i8mm"), "ok", "asimd, asimddp, i8mm"),
        (ARM.format(""), "warning", "asimd"),
        ("", "ok", "not listed by this operating system"),
    ],
)
def test_int8_instructions(cpuinfo: str, state: str, found: str) -> None:
    check = host.check_isa(cpuinfo)
    assert (check.state, check.found) == (state, found)


def test_one_core_and_little_memory_are_warnings() -> None:
    assert [host.check_cores(1).state, host.check_cores(2).state] == ["warning", "ok"]
    assert [host.check_memory(10**9).state, host.check_memory(10**10).state] == ["warning", "ok"]


def test_a_cache_that_does_not_exist_yet_is_judged_by_its_parent(tmp_path: Path) -> None:
    check = host.check_disk(tmp_path / "not" / "yet")
    assert str(tmp_path / "not" / "yet") in check.found
    assert "GB free" in check.found


@pytest.mark.skipif(platform.system() == "Windows" or os.geteuid() == 0, reason="permissions do not bind root")
def test_a_cache_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert host.check_disk(tmp_path / "cache").state == "problem"


def test_requirements() -> None:
    assert packages.check_requirement("rich>=1") == Check("rich", packages.installed_version("rich") or "")
    old = packages.check_requirement("rich==0.1")
    assert (old.state, old.to_do) == ("problem", 'Run: pip install "rich==0.1".')
    assert "tried with rich ==0.1" in old.why
    missing = packages.check_requirement("no-such-distribution>=2")
    assert (missing.state, missing.found) == ("problem", "missing")


def test_a_local_build_of_the_pinned_version_is_the_pinned_version() -> None:
    assert packages.check_requirement("torch==2.13.0").state == "ok"


def test_a_runtime_without_its_packages_is_a_warning_with_the_command_to_install_it() -> None:
    class Elsewhere:
        info = RuntimeInfo("mnn", "MNN", "mnn", ("no-such-distribution",), ".mnn", (), "affine", ())  # type: ignore[arg-type]

    check = packages.check_runtime(Elsewhere())  # type: ignore[arg-type]
    assert (check.name, check.state) == ("runtime mnn", "warning")
    assert 'pip install "pocketfit[mnn]"' in check.to_do


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_runtimes_are_looked_at(name: str) -> None:
    assert packages.check_runtime(get_runtime(name)).name == f"runtime {name}"


def test_an_entry_point_that_does_not_import_is_a_problem() -> None:
    broken = packages.check_entry_point(EntryPoint("mine", "no_such_module:Runtime", "pocketfit.runtimes"))
    assert (broken.name, broken.state) == ("runtime mine", "problem")
    assert "ModuleNotFoundError" in broken.why
    assert packages.check_entry_point(EntryPoint("ours", "pathlib:Path", "pocketfit.runtimes")).state == "ok"


def test_a_binary_must_be_executable(tmp_path: Path) -> None:
    binary = tmp_path / "pnnx"
    assert packages.check_executable(binary).state == "problem"
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    assert packages.check_executable(binary).state == "ok"


def test_an_installed_package_whose_import_fails_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "brokenpackage.py").write_text("raise RuntimeError('built for another torch')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    broken = packages.check_import("brokenpackage", why="It is broken.", to_do="Mend it.")
    assert (broken.state, broken.why, broken.to_do) == ("warning", "It is broken.", "Mend it.")
    assert packages.check_import("rich", why="", to_do="").state == "ok"
    assert sys.modules.get("brokenpackage") is None
