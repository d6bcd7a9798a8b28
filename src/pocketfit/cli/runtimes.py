"""`pocketfit runtimes`: what is installed, what each runtime can do, and how to install the rest."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pocketfit.cli.options import AsJson
from pocketfit.cli.output import console, print_json, table

if TYPE_CHECKING:
    from pocketfit.types import Runtime

__all__ = ["runtimes", "to_do"]

TITLES = ("runtime", "installed", "precisions", "INT8 activations", "file", "runs on", "delegates")


def runtimes(as_json: AsJson = False) -> None:
    """Show the mobile runtimes and what they can do.

    What is installed, in which version, what each can express and where it runs, and how to install the rest.
    """
    from pocketfit.runtimes import all_runtimes

    rows = [_describe(runtime) for runtime in all_runtimes()]
    if as_json:
        print_json(rows)
        return
    out = console()
    out.print(table([_row(row) for row in rows], TITLES))
    for row in rows:
        for line in _lines(row):
            out.print(line, markup=False, highlight=False)


def _describe(runtime: Runtime) -> dict[str, Any]:
    from pocketfit.runtimes import missing_packages, why_not_run_here

    missing = missing_packages(runtime)
    return asdict(runtime.info) | {
        "installed": not missing,
        "versions": _versions(runtime, missing),
        "missing": list(missing),
        "to_do": to_do(runtime),
        "not_run_here": why_not_run_here(runtime),
    }


def _lines(row: dict[str, Any]) -> list[str]:
    """What to do about it; else what is special, why it is not run here, and what may be asked of it."""
    if row["to_do"]:
        return [row["to_do"]]
    here = f" Converted, not run here: {row['not_run_here']}." if row["not_run_here"] else ""
    asked = (f"--{option['name']} {'|'.join(option['values'])}" for option in row["options"])
    return [f"{row['title']}: {row['note']}.{here}", *(f"{row['title']}: {option}" for option in asked)]


def to_do(runtime: Runtime) -> str:
    """What is missing and how to install it, in words; empty when nothing is."""
    from pocketfit.errors import RuntimeMissing
    from pocketfit.runtimes import require

    try:
        require(runtime)
    except RuntimeMissing as missing:
        return str(missing)
    return ""


def _versions(runtime: Runtime, missing: tuple[str, ...]) -> dict[str, str]:
    from importlib import metadata

    return {package: metadata.version(package) for package in runtime.info.packages if package not in missing}


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    lists = [", ".join(row[key]) or "-" for key in ("platforms", "delegates")]
    return (row["name"], _installed(row), ", ".join(row["precisions"]), row["scheme"], row["suffix"], *lists)


def _installed(row: dict[str, Any]) -> str:
    if not row["installed"]:
        return "no"
    return "\n".join(f"{package} {version}" for package, version in row["versions"].items())
