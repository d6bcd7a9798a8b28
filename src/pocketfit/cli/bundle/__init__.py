"""`pocketfit bundle`: bundles of several variants, signed and encrypted; one file a verb."""

from __future__ import annotations

import typer

from pocketfit.cli.bundle.join import join

__all__ = ["bundle"]

bundle = typer.Typer(
    name="bundle",
    help="Make one bundle of several.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@bundle.callback()
def _root() -> None:
    pass


for _verb in (join,):
    bundle.command()(_verb)
