"""`pocketfit policy vectors`: what engines in other languages have to decide as well."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pocketfit.cli.options import check_count, check_file
from pocketfit.cli.output import console

__all__ = ["vectors"]


def vectors(
    out: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="The file to write, one case a line.")],
    count: Annotated[int, typer.Option(help="Random cases, beside that of the default policy.")] = 12,
    frames: Annotated[int, typer.Option(help="Readings in each.")] = 40,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal files.")] = 0,
) -> None:
    """Write random policies, readings and what is decided, for an engine in another language to replay.

    Example: pocketfit policy vectors vectors.jsonl --count 10000
    """
    from pocketfit.policy.vectors import write_vectors

    check_file("FILE.jsonl", out)
    check_count("--count", count)
    check_count("--frames", frames)
    write_vectors(out, count=count, frames=frames, seed=seed)
    console().print(f"Wrote {count + 1} cases to {out}.", markup=False, highlight=False)
