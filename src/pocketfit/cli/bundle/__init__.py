"""`pocketfit bundle`: bundles of several variants, signed and encrypted; one file a verb."""

from __future__ import annotations

import typer

from pocketfit.cli.bundle.encrypt import encrypt
from pocketfit.cli.bundle.join import join
from pocketfit.cli.bundle.keygen import keygen
from pocketfit.cli.bundle.pack import pack, unpack
from pocketfit.cli.bundle.sign import sign
from pocketfit.cli.bundle.threshold import threshold

__all__ = ["bundle"]

bundle = typer.Typer(
    name="bundle",
    help="Make one bundle of several; choose thresholds; encrypt, sign and pack a bundle.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


for _verb in (join, threshold, keygen, encrypt, sign, pack, unpack):
    bundle.command()(_verb)
