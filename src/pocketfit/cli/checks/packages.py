"""Checks of the installed packages: versions, runtimes, and two installations known to break."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from pocketfit.cli.checks import Check, State

if TYPE_CHECKING:
    from pocketfit.types import Runtime

__all__ = [
    "all_checks",
    "check_entry_point",
    "check_executable",
    "check_import",
    "check_requirement",
    "check_runtime",
    "installed_version",
]

# An import of torchvision takes seconds; one that takes longer hangs.
IMPORT_TIMEOUT_S = 120.0
_OWN_EXTRAS = ("litert", "ncnn", "mnn", "executorch", "coreml", "timm")


def all_checks() -> tuple[Check, ...]:
    """Look at the installed packages."""
    from pocketfit.runtimes import BUILT_IN, ENTRY_POINTS, get_runtime

    return (
        *(check_requirement(text) for text in _requirements("")),
        *(check_requirement(text) for extra in _OWN_EXTRAS for text in _requirements(extra) if _installed(text)),
        *(check_runtime(get_runtime(name)) for name in BUILT_IN),
        *(check_entry_point(entry) for entry in metadata.entry_points(group=ENTRY_POINTS)),
        *_pnnx(),
        *_torchvision(),
    )


def check_requirement(text: str) -> Check:
    """Whether a package is installed in a version Pocketfit was tried with.

    Args:
        text: as a package's metadata spells it, such as "torch==2.13.0"; markers are ignored.
    """
    from packaging.requirements import Requirement

    required = Requirement(text)
    found = installed_version(required.name)
    install = f'Run: pip install "{required.name}{required.specifier}".'
    if found is None:
        return Check(required.name, "missing", "problem", "Pocketfit does not work without it.", install)
    if required.specifier.contains(found, prereleases=True):
        return Check(required.name, found)
    why = f"Pocketfit was tried with {required.name} {required.specifier}; another version fails later, in a converter."
    return Check(required.name, found, "problem", why, install)


def check_runtime(runtime: Runtime) -> Check:
    """Whether a runtime has all its packages; a runtime that is left out is no problem."""
    from pocketfit.cli.runtimes import to_do
    from pocketfit.runtimes import why_not_run_here

    name = f"runtime {runtime.info.name}"
    needed = to_do(runtime)
    if needed:
        return Check(name, "not installed", "warning", "It can be no target of a run.", needed)
    found = ", ".join(f"{package} {metadata.version(package)}" for package in runtime.info.packages)
    only = why_not_run_here(runtime)
    return Check(name, f"{found}; converted, not run here: {only}" if only else found)


def check_entry_point(entry: metadata.EntryPoint) -> Check:
    """Whether a runtime that another package brings can be imported."""
    name = f"runtime {entry.name}"
    try:
        entry.load()
    except Exception as error:  # third-party code may raise anything
        why = f"{entry.value} does not import: {type(error).__name__}: {error}."
        return Check(name, "broken", "problem", why, "Update or uninstall the package that brings it.")
    return Check(name, entry.value)


def check_executable(path: Path) -> Check:
    """Whether the converter binary of the pnnx package is there and may be run."""
    if path.is_file() and os.access(path, os.X_OK):
        return Check("pnnx binary", str(path))
    why = f"{path} is missing or may not be executed, so that nothing can be converted for ncnn."
    return Check("pnnx binary", "not usable", "problem", why, "Run: pip install --force-reinstall pnnx.")


def check_import(module: str, *, why: str, to_do: str) -> Check:
    """Whether an installed package can be imported, tried in a process of its own.

    Args:
        module: name to import.
        why: what follows from it when not.
        to_do: how to mend it.
    """
    state: State = "ok" if _imports(module) else "warning"
    found = f"{installed_version(module)}{'' if state == 'ok' else ', but its import fails'}"
    return Check(module, found, state, *(() if state == "ok" else (why, to_do)))


def installed_version(package: str) -> str | None:
    """The version of an installed distribution; None when it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _requirements(extra: str) -> list[str]:
    """Pocketfit's own dependencies: the core for an empty extra, otherwise what the extra adds."""
    from packaging.requirements import Requirement

    parsed = [(text, Requirement(text).marker) for text in metadata.requires("pocketfit") or ()]
    if not extra:
        return [text for text, marker in parsed if marker is None or marker.evaluate({"extra": ""})]
    return [text for text, marker in parsed if marker and "extra" in str(marker) and marker.evaluate({"extra": extra})]


def _installed(requirement: str) -> bool:
    from packaging.requirements import Requirement

    return installed_version(Requirement(requirement).name) is not None


def _pnnx() -> list[Check]:
    if installed_version("pnnx") is None:
        return []
    binary = "pnnx/pnnx.exe" if sys.platform == "win32" else "pnnx/pnnx"
    return [check_executable(Path(str(metadata.distribution("pnnx").locate_file(binary))))]


def _torchvision() -> list[Check]:
    if installed_version("torchvision") is None:
        return []
    return [
        check_import(
            "torchvision",
            why="It was built for another torch (often CUDA's beside a CPU torch). Pocketfit does not need it, but "
            "models that import it cannot be loaded.",
            to_do="Install torchvision from the index torch came from, or uninstall it.",
        )
    ]


def _imports(module: str) -> bool:
    try:
        done = subprocess.run(
            [sys.executable, "-c", f"import {module}"], capture_output=True, timeout=IMPORT_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
