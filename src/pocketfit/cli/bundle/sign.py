"""`pocketfit bundle sign`: a signature that an app can demand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pocketfit.cli.bundle.options import BundleFolder, Out

__all__ = ["sign"]


def sign(
    bundle: BundleFolder,
    key: Annotated[Path, typer.Option(help="private.pem, from `pocketfit bundle keygen`.")],
    release: Annotated[
        int | None, typer.Option(help="Counts up; apps refuse lower ones than they ask for. Without it, one more.")
    ] = None,
    out: Out = None,
) -> None:
    """Sign a bundle: every file of it, its variants and its policy, by the hashes in its manifest.

    Example: pocketfit bundle sign bundle --key keys/private.pem --release 2
    """
    from pocketfit.bundle import read_bundle, sign_bundle
    from pocketfit.bundle.keys import read_private_key

    private = read_private_key(key)
    read = read_bundle(bundle)
    number = read.manifest.release + 1 if release is None else release
    written = sign_bundle(read, private, number, out or bundle)
    public = private.public_key().public_bytes_raw().hex()
    typer.echo(f"Signed {written} as release {number}. Check it anywhere:")
    typer.echo(f"  pocketfit verify {out or bundle} --public-key {public} --least-release {number}")
