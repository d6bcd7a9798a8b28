"""`pocketfit doctor`: what of this machine and this installation will not work, why, and what to do."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from pocketfit.cli.options import AsJson
from pocketfit.cli.output import console, print_json, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pocketfit.cli.checks import Check

__all__ = ["doctor"]


def doctor(as_json: AsJson = False) -> None:
    """Check this machine and this installation.

    Says what will not work, why, and what to do. Exit code 1 when there is a problem, 0 when there are only warnings.
    """
    from pocketfit.cli.checks import host, packages

    checks = (*host.all_checks(), *packages.all_checks())
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        _print(checks)
    if any(check.state == "problem" for check in checks):
        raise typer.Exit(1)


def _print(checks: Sequence[Check]) -> None:
    out = console()
    out.print(table([(check.name, check.state, check.found) for check in checks], ("check", "state", "found")))
    wrong = [check for check in checks if check.state != "ok"]
    for check in wrong:
        out.print(f"{check.state}: {check.name}: {check.why} {check.to_do}", markup=False, highlight=False)
    if not wrong:
        out.print("Everything is in order.")
