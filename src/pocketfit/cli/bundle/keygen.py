"""`pocketfit bundle keygen`: keys to sign and to encrypt with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["keygen"]


def keygen(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write the keys to; none may be there yet.")],
    models: Annotated[bool, typer.Option("--models", help="Make a key to encrypt models with as well.")] = False,
) -> None:
    """Make an Ed25519 key pair: private.pem signs, public.txt goes into the app. Keep the private one out of both.

    Example: pocketfit bundle keygen -o keys --models
    """
    from pocketfit.bundle.keys import write_keys

    for path in write_keys(out, models=models):
        typer.echo(f"Wrote {path}")
