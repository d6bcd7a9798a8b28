"""Hands a float model and images to a peer and takes back its answers; data passes as files."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.peers import environment

TOOLS = ("onnxruntime", "nncf", "aimet")

# Enough of a child's output to hold a traceback through a tool's own layers.
_TAIL_LINES = 40


@dataclass(frozen=True)
class PeerResult:
    """What a peer made of a model.

    Attributes:
        outputs: Of the quantized model on the evaluation samples, float32 N×classes.
        seconds: Of quantization alone, with the writing of the quantized file; no imports, no evaluation.
        version: Of the peer.
        method: What it did, in a few words.
        int8_layers: That run on INT8 kernels in ONNX Runtime; None for a peer whose result is its own simulation.
        layers: Convolutions and linear layers that there are; None likewise.
    """

    outputs: np.ndarray
    seconds: float
    version: str
    method: str
    int8_layers: int | None = None
    layers: int | None = None


class PeerError(RuntimeError):
    """A peer failed on a model; the message ends with what it said."""


def quantize(
    tool: str,
    onnx_float: Path,
    calibration: np.ndarray,
    evaluation: np.ndarray,
    options: Mapping[str, bool | int | str] | None = None,
) -> PeerResult:
    """Quantizes a model with a peer and runs the result in ONNX Runtime.

    The first call installs the peers, about two gigabytes.

    Args:
        tool: One of `TOOLS`.
        onnx_float: The float32 model with one input, whose batch size is 1 or free, and one output.
        calibration: Model inputs, float32 N×….
        evaluation: Model inputs, float32 N×….
        options: Fields of the class in the tool's `run_*` module; None for its defaults.

    Returns:
        The answers of the quantized model, and how they came about.

    Raises:
        ValueError: There is no such tool.
        PeerError: The tool failed, or knows no such option.
    """
    if tool not in TOOLS:
        raise ValueError(f"no peer {tool!r}; there are {', '.join(TOOLS)}")
    with tempfile.TemporaryDirectory() as scratch:
        job = Path(scratch)
        np.save(job / "calibration.npy", calibration)
        np.save(job / "evaluation.npy", evaluation)
        (job / "job.json").write_text(json.dumps({"model": str(onnx_float.resolve()), "options": dict(options or {})}))
        _run(tool, job)
        return read_result(job)


def read_result(job: Path) -> PeerResult:
    """Reads what a child process left in the folder of its job."""
    about = json.loads((job / "result.json").read_text())
    return PeerResult(np.load(job / "outputs.npy"), **about)


def _run(tool: str, job: Path) -> None:
    command = [str(environment.python()), "-m", f"benchmarks.peers.run_{tool}", str(job)]
    log = job / "log.txt"
    with log.open("wb") as stream:
        # Tools may leave files where they run.
        done = subprocess.run(
            command, cwd=job, env=environment.variables(), stdout=stream, stderr=subprocess.STDOUT, check=False
        )
    if done.returncode:
        said = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        raise PeerError("\n".join([f"{tool} ended with code {done.returncode}:", *said]))
