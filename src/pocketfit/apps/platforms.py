"""The platforms that there is code for, and its files."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path, PurePosixPath

__all__ = ["Platform", "sources"]


class Platform(StrEnum):
    """C++17 for Linux boards and the NDK; Java 8 without Android, for Android and the JVM; a Swift package for iOS."""

    CPP = "cpp"
    JAVA = "java"
    IOS = "ios"


def sources(platform: Platform) -> dict[PurePosixPath, Path]:
    """Every file of a platform's code: where it lies in an app, and where it is to be copied from."""
    home = Path(__file__).parent / platform
    files = sorted(path for path in home.rglob("*") if path.is_file())
    return {PurePosixPath(path.relative_to(home).as_posix()): path for path in files}
