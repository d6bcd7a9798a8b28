"""Where verbs print to."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["console", "print_json", "table", "tell_model"]

PIPED_WIDTH = 120


def console() -> Console:
    """Standard output: as wide as the terminal; `PIPED_WIDTH` columns in a pipe, unless COLUMNS says otherwise."""
    from rich.console import Console

    known = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if known else PIPED_WIDTH)


def table(rows: Sequence[Sequence[str]], words: Sequence[str], figures: Sequence[str] = ()) -> Table:
    """A table of plain text.

    Args:
        rows: cells, those of `words` first.
        words: titles of columns that line up on the left and may wrap.
        figures: titles of columns that line up on the right and may not.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for title in words:
        drawn.add_column(title, overflow="fold")
    for title in figures:
        drawn.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        drawn.add_row(*map(Text, row))
    return drawn


def print_json(value: object) -> None:
    """Print a value made of dictionaries, lists, strings and finite numbers."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


def tell_model(path: Path | None) -> None:
    """Say where a model was written, and what to do with it; nothing where none was."""
    if path is not None:
        console().print(f"Wrote {path}. Fit it: pocketfit fit {path} --data …", markup=False, highlight=False)
