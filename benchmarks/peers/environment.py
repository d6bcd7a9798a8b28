"""The virtual environment of the peers, made on demand beside the unpacked images; Pocketfit itself runs in another."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.real_data import cache_folder

# aimet-onnx needs torch but pins none. This is the release that Pocketfit itself is tried with, so that pip may find it
# in its cache; ONNX Runtime, too, is the one that Pocketfit's own rows are measured with.
REQUIREMENTS = ("aimet-onnx==2.42.0", "nncf==3.4.0", "onnx==1.23.2", "onnxruntime==1.31.1", "torch==2.13.0")

# Tools that prune. What reads the networks of the benchmarks needs pydantic, and NNCF for torch needs torchao.
PRUNING = ("nncf==3.4.0", "numpy", "pillow", "pydantic", "torch==2.13.0", "torch-pruning==1.6.0", "torchao==0.18.0")

_REPOSITORY = Path(__file__).resolve().parents[2]


def python(name: str = "peers-env", requirements: tuple[str, ...] = REQUIREMENTS) -> Path:
    """Returns the interpreter of the peers' environment, after installing the peers if that was not done yet.

    Args:
        name: Of the environment's folder in the cache.
        requirements: What is installed there.

    Raises:
        subprocess.CalledProcessError: pip could not install them; its messages are on standard error.
    """
    folder = cache_folder() / name
    interpreter = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    installed = folder / "requirements.txt"
    wanted = "\n".join(requirements) + "\n"
    if not installed.is_file() or installed.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(interpreter), "-m", "pip", "install", "--quiet", *requirements], check=True)
        # Written last: an interrupted installation is begun anew.
        installed.write_text(wanted)
    return interpreter


def variables() -> dict[str, str]:
    """Returns the environment variables of a child process there.

    It finds this package but nothing else of the parent's search path, and NNCF reports to nobody.
    """
    return {**os.environ, "PYTHONPATH": str(_REPOSITORY), "NNCF_CI": "1"}
