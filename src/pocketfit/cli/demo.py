"""`pocketfit demo`: the main job on a small network trained here and now."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pocketfit.cli.options import AsJson

__all__ = ["demo"]

MODEL = "pocketfit.models.zoo.digits_cnn:trained_digits_cnn"


def demo(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the bundle; an older bundle there is replaced.")
    ] = Path("pocketfit-demo"),
    cache: Annotated[Path | None, typer.Option(help="Folder of stored stages. Without it, POCKETFIT_CACHE.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train a small network on handwritten digits, then fit it: a first look, without any files of yours.

    Example: pocketfit demo -o bundle
    """
    from pocketfit.cli.fit import run_fit
    from pocketfit.pipeline import FitRequest

    typer.echo("Training a small network on scikit-learn's digits, then fitting it into a phone.", err=True)
    run_fit(FitRequest(model=MODEL, data="digits", out=out, cache=cache), as_json=as_json)
