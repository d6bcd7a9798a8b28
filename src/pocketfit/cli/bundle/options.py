"""Arguments that the verbs of `pocketfit bundle` and `pocketfit verify` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pocketfit.bundle import Trust

__all__ = ["BundleFolder", "KeyFile", "LeastRelease", "Out", "PublicKey", "trust_of"]

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


def trust_of(public_key: str | None, least_release: int) -> Trust:
    """What `--public-key` and `--least-release` demand.

    Raises:
        InputError: the key is none.
    """
    from pocketfit.bundle import Trust
    from pocketfit.bundle.keys import read_public_key

    return Trust(None if public_key is None else read_public_key(public_key), least_release)
