"""Where the measured tables lie."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["latency_folder"]


def latency_folder() -> Path:
    """`latency/` in the folder that POCKETFIT_DATA names."""
    data = os.environ.get("POCKETFIT_DATA")
    folder = Path(data or "") / "latency"
    if not data or not folder.is_dir():
        raise SystemExit("POCKETFIT_DATA has to name a folder that holds latency/, with the measured tables.")
    return folder
