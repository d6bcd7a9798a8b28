"""The self-test of a platform's code, compiled and run on this machine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pocketfit.apps.platforms import Platform, sources
from pocketfit.apps.swift import compile_swift
from pocketfit.errors import RuntimeMissing

__all__ = ["TARGETS", "SelfTest", "Suite", "Target", "build"]

# As CMakeLists.txt has them; without -ffp-contract=off a compiler may fuse products with sums.
CPP_FLAGS = ("-std=c++17", "-O3", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-ffp-contract=off", "-pthread")
JAVA_FLAGS = ("--release", "8", "-Xlint:all,-options", "-Werror")
SWIFT_FLAGS = ("-O", "-swift-version", "6", "-warnings-as-errors")
SECONDS = 600


@dataclass(frozen=True)
class Target:
    """Something that the code is compiled for.

    Args:
        name: as reports show it.
        platform: whose code it is.
        compiler: the program.
        runner: in front of what was compiled; empty where it runs by itself.
        flags: of the compiler.
    """

    name: str
    platform: Platform
    compiler: str
    runner: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


TARGETS = (
    Target("cpp, this processor", Platform.CPP, "g++", flags=CPP_FLAGS),
    # Linked statically, so that QEMU needs no libraries of that processor.
    Target(
        "cpp, arm64 by qemu", Platform.CPP, "aarch64-linux-gnu-g++", ("qemu-aarch64-static",), (*CPP_FLAGS, "-static")
    ),
    Target("java, jvm", Platform.JAVA, "javac", ("java", "-cp"), JAVA_FLAGS),
    Target("swift, this processor", Platform.IOS, "swiftc", flags=SWIFT_FLAGS),
)


@dataclass(frozen=True)
class Suite:
    """How many vectors of a suite came out as they must."""

    suite: str
    passed: int
    total: int


@dataclass(frozen=True)
class SelfTest:
    """A compiled self-test.

    Args:
        command: that runs it, without its arguments.
    """

    command: tuple[str, ...]

    def run(self, paths: Sequence[Path], options: Sequence[str] = ()) -> tuple[int, tuple[Suite, ...], str]:
        """Replay vectors.

        Args:
            paths: folders of bundles, files of steps, of policies, of cameras and of galleries.
            options: what is demanded of bundles: --public-key, --least-release, --model-key, each with its value.

        Returns:
            The exit code, every suite, and what was written about differences.
        """
        command = [*self.command, *options, *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
        return done.returncode, tuple(Suite(**json.loads(line)) for line in done.stdout.splitlines()), done.stderr


def build(target: Target, folder: Path, program: Path | None = None) -> SelfTest:
    """Compile the self-test, or another program that uses the same code.

    Args:
        target: what for.
        folder: empty; what is compiled goes there.
        program: source of the other program, whose class is named as its file.

    Raises:
        RuntimeMissing: the compiler or what runs its programs is not installed.
    """
    if target.platform is Platform.IOS:
        return SelfTest(compile_swift(_compile, target.flags, folder, program))
    missing = [name for name in (target.compiler, *target.runner[:1]) if shutil.which(name) is None]
    if missing:
        raise RuntimeMissing(f"{target.name} needs {' and '.join(missing)}, not installed here. Install it to try that")
    return (_build_cpp if target.platform is Platform.CPP else _build_java)(target, folder, program)


def _build_cpp(target: Target, folder: Path, program: Path | None) -> SelfTest:
    files = sources(Platform.CPP)
    main = program or next(path for name, path in files.items() if name.name == "main.cpp")
    include = next(parent for path in files.values() for parent in path.parents if parent.name == "include")
    _compile([target.compiler, *target.flags, f"-I{include}", str(main), "-o", str(folder / "selftest")])
    return SelfTest((*target.runner, str(folder / "selftest")))


def _build_java(target: Target, folder: Path, program: Path | None) -> SelfTest:
    files = [str(path) for path in sources(Platform.JAVA).values() if path.suffix == ".java"]
    _compile([target.compiler, *target.flags, "-d", str(folder), *files, *([str(program)] if program else [])])
    return SelfTest((*target.runner, str(folder), program.stem if program else "pocketfit.selftest.SelfTest"))


def _compile(command: list[str]) -> None:
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False, timeout=SECONDS)
    if done.returncode:
        sys.stderr.write(done.stderr)
        done.check_returncode()
