"""C++ and Java are as clang-format writes them; Swift and Kotlin have theirs in tests of their own."""

from __future__ import annotations

import subprocess
from pathlib import Path
from shutil import which

import pytest

from pocketfit.apps import Platform, sources

STYLE = Path(__file__).parents[2] / ".clang-format"
FILES = sorted(
    path
    for platform in (Platform.CPP, Platform.JAVA, Platform.ANDROID)
    for path in sources(platform).values()
    if path.suffix in (".hpp", ".cpp", ".java")
)


@pytest.mark.skipif(which("clang-format") is None, reason="clang-format is not installed")
def test_the_code_is_formatted() -> None:
    assert FILES
    command = ["clang-format", "--dry-run", "-Werror", f"--style=file:{STYLE}", *map(str, FILES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
