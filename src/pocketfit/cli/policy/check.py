"""`pocketfit policy check`: what is wrong with a policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from pocketfit.cli.options import AsJson
from pocketfit.cli.output import console, print_json, table
from pocketfit.cli.policy.options import BundlePath, PolicyPath, artifacts_of
from pocketfit.errors import VerificationFailed

if TYPE_CHECKING:
    from pocketfit.policy.checks import Finding

__all__ = ["check"]

TITLES = ("", "kind", "rule", "what", "what to do")


def check(policy: PolicyPath, bundle: BundlePath = None, as_json: AsJson = False) -> None:
    """Find rules that are never followed, that flap or drive each other in circles, gaps, and missing variants.

    Exit code 4 says that there are faults; notes alone are fine.
    Example: pocketfit policy check policy.json --bundle bundle
    """
    from pocketfit.policy import read_policy
    from pocketfit.policy.checks import check_policy

    read = read_policy(policy)
    folders = [artifact.bundle for variant in read.variants for artifact in variant.artifacts]
    found = check_policy(read, None if bundle is None else artifacts_of(bundle, folders))
    faults = sum(finding.is_fault for finding in found)
    if as_json:
        print_json({"faults": faults, "findings": [asdict(finding) for finding in found]})
    else:
        _show(found)
    if faults:
        raise VerificationFailed(f"{policy} has {faults} fault{'s' if faults > 1 else ''}")


def _show(found: Sequence[Finding]) -> None:
    if not found:
        typer.echo("Nothing is wrong with it.")
        return
    rows = [
        ("fault" if finding.is_fault else "note", finding.kind, finding.rule, finding.message, finding.remedy)
        for finding in found
    ]
    console().print(table(rows, TITLES))
