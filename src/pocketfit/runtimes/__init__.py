"""The mobile runtimes: one file each, one table of the built-in ones, one entry-point group for the rest."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import platform
from importlib import metadata

from pocketfit.errors import OptionError, RuntimeMissing
from pocketfit.types import Runtime

__all__ = [
    "BUILT_IN",
    "ENTRY_POINTS",
    "all_runtimes",
    "get_runtime",
    "is_installed",
    "missing_packages",
    "require",
    "require_here",
    "runs_here",
    "why_not_run_here",
]

ENTRY_POINTS = "pocketfit.runtimes"

_SYSTEMS = {"linux": "Linux", "macos": "macOS", "windows": "Windows"}

# In the order in which tables show them. The modules are light: packages are imported when a runtime is used.
BUILT_IN = {
    "onnxruntime": "pocketfit.runtimes.onnxruntime:OnnxRuntime",
    "litert": "pocketfit.runtimes.litert:LiteRT",
    "ncnn": "pocketfit.runtimes.ncnn:Ncnn",
    "mnn": "pocketfit.runtimes.mnn:Mnn",
    "executorch": "pocketfit.runtimes.executorch:ExecuTorch",
    "coreml": "pocketfit.runtimes.coreml:CoreML",
}


def all_runtimes() -> tuple[Runtime, ...]:
    """Built-in runtimes first, then those other packages bring; one that cannot be imported is left out.

    `pocketfit doctor` says why; a run for the other runtimes need not end because of it.
    """
    runtimes = []
    for name in _table():
        with contextlib.suppress(RuntimeMissing):
            runtimes.append(get_runtime(name))
    return tuple(runtimes)


def get_runtime(name: str) -> Runtime:
    """The runtime of that name.

    Raises:
        OptionError: there is none.
        RuntimeMissing: another package brings it, and it cannot be imported.
    """
    table = _table()
    if name not in table:
        close = difflib.get_close_matches(name.lower(), table, n=1)
        meant = f" Did you mean '{close[0]}'?" if close else ""
        raise OptionError(f"unknown runtime '{name}'. Known here: {', '.join(table)}.{meant}")
    module, _, attribute = table[name].partition(":")
    try:
        runtime: Runtime = getattr(importlib.import_module(module), attribute)()
    except Exception as error:  # whatever another package's code raises
        raise RuntimeMissing(
            f"runtime '{name}' ({table[name]}) cannot be imported: {type(error).__name__}: {error}. "
            "Update or uninstall the package that brings it."
        ) from error
    return runtime


def missing_packages(runtime: Runtime) -> tuple[str, ...]:
    """Distributions the runtime needs that are not installed."""
    return tuple(package for package in runtime.info.packages if not _has(package))


def is_installed(runtime: Runtime) -> bool:
    """Whether everything the runtime needs is there."""
    return not missing_packages(runtime)


def require(runtime: Runtime) -> None:
    """Refuse to go on without the runtime's packages.

    Raises:
        RuntimeMissing: naming what is missing and how to install it.
    """
    missing = missing_packages(runtime)
    if missing:
        extra = runtime.info.extra
        fix = f'pip install "pocketfit[{extra}]"' if extra else f"pip install {' '.join(missing)}"
        raise RuntimeMissing(f"{runtime.info.title} needs {', '.join(missing)}, not installed here. To add it: {fix}")


def runs_here(runtime: Runtime) -> bool:
    """Whether the runtime's sessions run on this operating system; where they do not, it converts only."""
    return _system() in runtime.info.hosts


def why_not_run_here(runtime: Runtime) -> str:
    """Why the runtime's sessions do not run on this operating system, in a sentence; empty where they do."""
    if runs_here(runtime):
        return ""
    where = " and ".join(_SYSTEMS.get(host, host) for host in runtime.info.hosts)
    return f"{runtime.info.title} runs on {where} only, and this is {_SYSTEMS.get(_system(), _system())}"


def require_here(runtime: Runtime) -> None:
    """Refuse to run where only converting is possible.

    Raises:
        RuntimeMissing: saying where the runtime runs.
    """
    if reason := why_not_run_here(runtime):
        raise RuntimeMissing(f"{reason}: its files are converted here, but not run. Run `pocketfit verify` there.")


def _system() -> str:
    """This operating system as `RuntimeInfo.hosts` spells it."""
    name = platform.system().lower()
    return "macos" if name == "darwin" else name


def _table() -> dict[str, str]:
    others = {entry.name: entry.value for entry in metadata.entry_points(group=ENTRY_POINTS)}
    return BUILT_IN | {name: target for name, target in others.items() if name not in BUILT_IN}


def _has(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True
