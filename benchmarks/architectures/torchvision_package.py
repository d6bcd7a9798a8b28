"""torchvision, for the processes that build networks: timm imports it, and some networks come from it.

It is no dependency of Pocketfit. Its wheels are made for torch with CUDA and load nowhere else, but the Python of its
networks runs with any torch once the operators that it registers are declared.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from benchmarks.real_data import cache_folder

__all__ = ["import_torchvision"]

# The release that belongs to torch 2.13.
REQUIREMENT = "torchvision==0.28.0"


def import_torchvision() -> ModuleType:
    """Import torchvision, so that timm can import it too, after installing it beside the unpacked images if need be.

    Raises:
        subprocess.CalledProcessError: pip could not install it; its messages are on standard error.
    """
    if "torchvision" not in sys.modules:
        _declare_operators()
        sys.path.append(str(_installed()))
    return importlib.import_module("torchvision")


def _declare_operators() -> None:
    import torch

    for name in ("nms", "qnms"):
        torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def _installed() -> Path:
    folder = cache_folder() / "torchvision"
    done = folder / "requirement.txt"
    if not done.is_file() or done.read_text() != REQUIREMENT:
        # Without its dependencies, which would be another torch: numpy and pillow are there.
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target", str(folder)]
        subprocess.run([*pip, REQUIREMENT], check=True)
        # Written last: an interrupted installation is begun anew.
        done.write_text(REQUIREMENT)
    return folder
