"""`pocketfit policy init`: a policy to begin from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pocketfit.cli.options import check_file
from pocketfit.cli.output import console
from pocketfit.cli.policy.options import BundlePath, artifacts_of
from pocketfit.errors import OutputError

__all__ = ["init"]


def init(
    bundle: BundlePath = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")] = Path("policy.json"),
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a policy to begin from: full, lite below 20% battery, fast when hot, intermittent when severe.

    Example: pocketfit policy init --bundle bundle -o policy.json
    """
    from pocketfit.policy import default_policy, write_policy

    check_file("--out", out)
    if out.exists() and not force:
        raise OutputError(f"--out {out} is there already. Give another name, or --force to replace it.")
    write_policy(default_policy(None if bundle is None else artifacts_of(bundle)), out)
    console().print(
        f"Wrote {out}. Change it to your needs: pocketfit policy check {out}", markup=False, highlight=False
    )
