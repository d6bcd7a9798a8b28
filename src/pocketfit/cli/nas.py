"""`pocketfit nas`: a network designed for the data and the budget."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketfit.cli.options import (
    AsJson,
    Cache,
    Color,
    Crop,
    DryRun,
    InputShape,
    Mean,
    Preprocess,
    Resize,
    Scale,
    Std,
    check_count,
    check_file,
    parse_shape,
)
from pocketfit.cli.output import console, print_json, table
from pocketfit.cli.progress import progress
from pocketfit.errors import OptionError

if TYPE_CHECKING:
    from pocketfit.nas.design import NasResult

__all__ = ["nas"]
