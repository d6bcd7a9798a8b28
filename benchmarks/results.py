"""Rows of a benchmark, on the terminal and in `benchmarks/results/NAME.json`."""

from __future__ import annotations

import datetime
import json
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pocketfit.devices.host import describe_host

FOLDER = Path(__file__).parent / "results"
PACKAGES = (
    "pocketfit",
    "torch",
    "onnxruntime",
    "ai-edge-litert",
    "litert-torch",
    "ai-edge-quantizer",
    "ncnn",
    "pnnx",
    "MNN",
    "executorch",
    "coremltools",
    "timm",
)

Row = dict[str, Any]


def publish(name: str, rows: Iterable[Row]) -> None:
    """Write the rows, each with date, machine and versions, as they come; print them when all are there."""
    about = {
        "date": datetime.date.today().isoformat(),
        "machine": describe_host(),
        "versions": {"python": platform.python_version(), **{one: metadata.version(one) for one in PACKAGES}},
    }
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json"
    known: list[Row] = []
    for row in rows:
        known.append(row)
        path.write_text(json.dumps([one | about for one in known], indent=1) + "\n")
    _print(name, known)
    Console().print(f"wrote {path}")


def _print(name: str, rows: list[Row]) -> None:
    table = Table(title=name)
    titles = list(dict.fromkeys(title for row in rows for title in row))
    for title in titles:
        table.add_column(title, justify="left" if isinstance(rows[0].get(title), str) else "right")
    for row in rows:
        table.add_row(*(_cell(row.get(title)) for title in titles))
    Console(width=None if Console().is_terminal else 180).print(table)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
