"""`pocketfit verify`: does a bundle give the answers it promises, in every runtime installed here."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketfit.cli.options import AsJson
from pocketfit.cli.output import console, print_json
from pocketfit.errors import RuntimeMissing, VerificationFailed

if TYPE_CHECKING:
    from rich.table import Table

    from pocketfit.bundle import Check, Verification

__all__ = ["verify"]

_STYLES = {"passed": "green", "skipped": "yellow", "failed": "red"}


def verify(
    bundle: Annotated[Path, typer.Argument(help="Folder written by `pocketfit fit -o`.")],
    runtimes: Annotated[
        str | None, typer.Option(help="Check these only, joined by commas, such as onnxruntime,ncnn.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a bundle's files and replay its golden vectors in every runtime installed.

    Example: pocketfit verify out --runtimes onnxruntime,litert
    """
    from rich.console import Console

    from pocketfit.bundle import verify_bundle

    wanted = None if runtimes is None else [name.strip() for name in runtimes.split(",") if name.strip()]
    with Console(stderr=True).status("Checking the files") as status:
        result = verify_bundle(bundle, runtimes=wanted, progress=lambda name: status.update(f"Running {name}"))
    if as_json:
        print_json(_as_data(result))
    else:
        _show(result)
    _conclude(result)


def _conclude(result: Verification) -> None:
    from pocketfit.bundle import Outcome

    if failed := result.with_outcome(Outcome.FAILED):
        names = ", ".join(f"{check.runtime} {check.precision}" for check in failed)
        raise VerificationFailed(
            f"{len(failed)} of {len(result.checks)} artifacts in {result.path} failed: {names}. "
            "Do not ship them; run `pocketfit fit` again"
        )
    if not result.with_outcome(Outcome.PASSED):
        raise RuntimeMissing(f"nothing in {result.path} could be run here; see the reasons above")


def _show(result: Verification) -> None:
    out = console()
    out.print(f"{result.path}: {result.files} files intact", markup=False, highlight=False)
    out.print(_table(result))
    for check in result.checks:
        if check.reason:
            out.print(f"{check.runtime} {check.precision}: {check.reason}", markup=False, highlight=False)


def _table(result: Verification) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("runtime", "precision"):
        table.add_column(title)
    for title in ("max error", "tolerance", "agreement"):
        table.add_column(title, justify="right")
    table.add_column("outcome")
    for check in result.checks:
        table.add_row(*_cells(check))
    return table


def _cells(check: Check) -> tuple[str, ...]:
    return (
        check.runtime,
        check.precision,
        "-" if check.max_error is None else f"{check.max_error:.2g}",
        f"{check.tolerance:.2g}",
        "-" if check.agreement is None else f"{100 * check.agreement:.0f}%",
        f"[{_STYLES[check.outcome]}]{check.outcome}[/]",
    )


def _as_data(result: Verification) -> dict[str, Any]:
    """As JSON has it: an infinite error is null, and then the reason says so."""
    checks = [asdict(check) for check in result.checks]
    for check in checks:
        if check["max_error"] is not None and not math.isfinite(check["max_error"]):
            check["max_error"] = None
    return {"path": str(result.path), "files": result.files, "checks": checks}
