"""`pocketfit bundle join`: one bundle of several."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pocketfit.cli.options import DryRun
from pocketfit.errors import OptionError

__all__ = ["join"]


def join(
    variants: Annotated[
        list[str], typer.Argument(metavar="NAME=BUNDLE...", help="Variants, such as full=DIR lite=DIR; the main first.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the bundle; an older bundle there is replaced.")],
    policy: Annotated[
        str | None,
        typer.Option(help="Which variant runs when: a policy.json, or default."),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Make one bundle of several: each keeps its preprocessing, golden vectors and evidence; a policy chooses.

    Example: pocketfit bundle join full=net lite=small-net high-security=large-net --policy default -o bundle
    """
    folders = _named(variants)

    from pocketfit.bundle import check_destination, join_bundles, joined, read_bundle
    from pocketfit.policy import default_policy, read_policy

    check_destination(out)
    bundles = {name: read_bundle(folder) for name, folder in folders.items()}
    whole = joined(bundles)
    if policy is None:
        chosen = None
    else:
        chosen = default_policy(whole.artifacts) if policy == "default" else read_policy(Path(policy))
    if dry_run:
        for artifact in whole.artifacts:
            typer.echo(f"{artifact.runtime} {artifact.precision} in {artifact.bundle}")
        return
    join_bundles(bundles, chosen, out)
    typer.echo(f"Bundle: {out}, of {', '.join(folders)}. Check it anywhere: pocketfit verify {out}")


def _named(variants: list[str]) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for text in variants:
        name, sign, folder = text.partition("=")
        if not name or not sign or not folder or name in named:
            raise OptionError(f"{text!r} is no variant, or a second of its name. Write NAME=BUNDLE.")
        named[name] = Path(folder)
    return named
