"""The platforms that there is code for, and its files."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path, PurePosixPath

__all__ = ["Platform", "content_folder", "sources"]


class Platform(StrEnum):
    """C++17 for Linux boards and the NDK; Java 8 for the JVM; Kotlin around it for Android; Swift for iOS."""

    CPP = "cpp"
    JAVA = "java"
    ANDROID = "android"
    IOS = "ios"


# In an Android module: where Gradle looks for Java and for C++, and where an app's own files are packed from.
_ANDROID_JAVA = PurePosixPath("pocketfit/src/main/java")
_ANDROID_ENGINES = PurePosixPath("pocketfit/src/main/cpp")
_ANDROID_ASSETS = PurePosixPath("pocketfit/src/main/assets/pocketfit")

# Of the engines in C++, those of runtimes that have no Java API.
_FOR_JNI = tuple(f"engines/{name}" for name in ("net.hpp", "open_net.cpp", "ncnn_net.cpp", "mnn_net.cpp"))


def sources(platform: Platform) -> dict[PurePosixPath, Path]:
    """Every file of a platform's code: where it lies in an app, and where it is to be copied from."""
    files = _files(platform)
    if platform is Platform.ANDROID:
        core = _files(Platform.JAVA).items()
        files |= {_ANDROID_JAVA / PurePosixPath(*name.parts[1:]): path for name, path in core}
        engines = _files(Platform.CPP).items()
        files |= {_ANDROID_ENGINES / name: path for name, path in engines if str(name) in _FOR_JNI}
    return files


def content_folder(platform: Platform) -> PurePosixPath:
    """Where the bundle and the policy lie in an app."""
    return _ANDROID_ASSETS if platform is Platform.ANDROID else PurePosixPath()


def _files(platform: Platform) -> dict[PurePosixPath, Path]:
    home = Path(__file__).parent / platform
    files = sorted(path for path in home.rglob("*") if path.is_file())
    return {PurePosixPath(path.relative_to(home).as_posix()): path for path in files}
