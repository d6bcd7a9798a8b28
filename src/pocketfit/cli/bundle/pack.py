"""`pocketfit bundle pack` and `unpack`: a bundle as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pocketfit.cli.bundle.options import BundleFolder, LeastRelease, PublicKey, trust_of
from pocketfit.cli.options import check_file

__all__ = ["pack", "unpack"]


def pack(
    bundle: BundleFolder,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write, such as bundle.zip.")],
) -> None:
    """Write a bundle as one file for a download: a zip archive in which nothing is compressed.

    Example: pocketfit bundle pack bundle -o bundle.zip
    """
    from pocketfit.bundle import pack_bundle, read_bundle

    check_file("--out", out)
    pack_bundle(read_bundle(bundle), out)
    typer.echo(f"Wrote {out}. Unpack and check it: pocketfit bundle unpack {out} -o bundle")


def unpack(
    archive: Annotated[Path, typer.Argument(metavar="FILE", help="File that `pocketfit bundle pack` wrote.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the bundle; an older bundle there is replaced.")],
    public_key: PublicKey = None,
    least_release: LeastRelease = 0,
) -> None:
    """Unpack a bundle and check every file of it; one that is not right is not put there at all.

    Example: pocketfit bundle unpack bundle.zip -o bundle --public-key keys/public.txt
    """
    from pocketfit.bundle import unpack_bundle

    folder = unpack_bundle(archive, out, trust_of(public_key, least_release))
    typer.echo(f"Wrote {folder}. Every file is the one that was written.")
