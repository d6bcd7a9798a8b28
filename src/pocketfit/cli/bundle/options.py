"""Arguments that the verbs of `pocketfit bundle` and `pocketfit verify` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["BundleFolder", "KeyFile", "LeastRelease", "Out", "PublicKey"]

BundleFolder = Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder that `pocketfit fit -o` wrote.")]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="Folder to write. Without it, the bundle takes its own place.")
]
KeyFile = Annotated[
    Path | None,
    typer.Option(help="Key of encrypted models: a file of 64 hexadecimal digits. Without it, POCKETFIT_BUNDLE_KEY."),
]
PublicKey = Annotated[
    str | None, typer.Option(help="Demand a signature by this key: 64 hexadecimal digits, or the file that holds them.")
]
LeastRelease = Annotated[int, typer.Option(help="Refuse a bundle whose release is lower.")]
