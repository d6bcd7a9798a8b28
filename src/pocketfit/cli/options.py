"""Options that several verbs share, and how their values are read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from pocketfit.errors import OptionError

__all__ = ["AsJson", "InputShape", "Model", "Weights", "parse_shape"]

Model = Annotated[
    str, typer.Argument(help="package.module:factory, file.py:factory, timm:NAME, or a torch.export file (.pt2).")
]
Weights = Annotated[
    Path | None, typer.Option(help="State dict (.pth, .safetensors) to load into what a factory returns.")
]
InputShape = Annotated[
    str | None, typer.Option("--input", metavar="CxHxW", help="Input shape without the batch, such as 3x224x224.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

_SHAPE = re.compile(r"[1-9]\d*(?:[x,][1-9]\d*)*")


def parse_shape(text: str) -> tuple[int, ...]:
    """Read a shape such as "3x224x224" (a comma does as well), without the batch dimension.

    Raises:
        OptionError: for anything but positive whole numbers joined by `x`.
    """
    compact = re.sub(r"\s", "", text).lower()
    if not _SHAPE.fullmatch(compact):
        raise OptionError(
            f"--input {text!r} is not a shape. Allowed are positive whole numbers joined by x, without the batch: "
            "channels x height x width for images. Write for example --input 3x224x224."
        )
    return tuple(int(side) for side in re.split("[x,]", compact))
