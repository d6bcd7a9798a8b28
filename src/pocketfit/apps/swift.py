"""The Swift toolchain: on the PATH, or behind a command that the environment names."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import which

from pocketfit.apps.platforms import Platform, sources
from pocketfit.errors import RuntimeMissing

__all__ = ["VARIABLE", "compile_swift", "swift_command"]

# A command that runs another one where Swift is, such as `docker run … swift:6.0`; it has to see the same folders.
VARIABLE = "POCKETFIT_SWIFT"
MODULES = ("Pocketfit", "PocketfitSelfTest")


def swift_command(*words: str) -> tuple[str, ...]:
    """The words as they run where the Swift toolchain is.

    Raises:
        RuntimeMissing: there is no toolchain.
    """
    prefix = tuple(shlex.split(os.environ.get(VARIABLE, "")))
    if which(prefix[0] if prefix else "swiftc") is None:
        raise RuntimeMissing(
            f"Swift needs {prefix[0] if prefix else 'swiftc'}, not installed here. Install a Swift toolchain, "
            f"or let {VARIABLE} name a command that runs another one where there is one"
        )
    return (*prefix, *words)


def compile_swift(
    run: Callable[[list[str]], None], flags: Sequence[str], folder: Path, program: Path | None
) -> tuple[str, ...]:
    """Compile the self-test, or another program, module by module as a package would be.

    Args:
        run: carries a command out, and raises if it fails.
        flags: of the compiler.
        folder: empty; what is compiled goes there.
        program: its source; None for the self-test's.

    Returns:
        The command that runs it.
    """
    objects: list[str] = []
    for module in MODULES:
        compiled = folder / f"{module}.o"
        build = ["-parse-as-library", "-wmo", "-module-name", module, "-I", str(folder), "-emit-module"]
        build += ["-emit-module-path", str(folder / f"{module}.swiftmodule"), "-c", "-o", str(compiled)]
        run([*swift_command("swiftc", *flags), *build, *_files(module)])
        objects.append(str(compiled))
    main = [str(program)] if program else _files("selftest")
    run([*swift_command("swiftc", *flags), "-I", str(folder), "-o", str(folder / "main"), *main, *objects])
    return swift_command(str(folder / "main"))


def _files(module: str) -> list[str]:
    found = sources(Platform.IOS).items()
    return [str(path) for name, path in found if name.parts[:2] == ("Sources", module) and path.suffix == ".swift"]
