"""`pocketfit policy`: which variant of a model runs when; one file a verb."""

from __future__ import annotations

import typer

from pocketfit.cli.policy.check import check
from pocketfit.cli.policy.init import init
from pocketfit.cli.policy.sensors import sensors
from pocketfit.cli.policy.simulate import simulate
from pocketfit.cli.policy.vectors import vectors

__all__ = ["policy"]

policy = typer.Typer(
    name="policy",
    help="Which variant of a model runs when: by battery, heat, memory and scene.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for _verb in (init, check, simulate, sensors, vectors):
    policy.command()(_verb)
