"""TensorFlow SavedModels and float .tflite files."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pocketfit.errors import ModelError, RuntimeMissing
from pocketfit.graph.base import outputs, relative_error
from pocketfit.models.from_tensorflow import worker
from pocketfit.models.onnx_model.module import OnnxModule
from pocketfit.models.onnx_model.read import read_file
from pocketfit.models.onnx_source import from_model
from pocketfit.models.source import Source, channels_first
from pocketfit.types import InputShape

__all__ = ["from_tensorflow", "is_tensorflow"]

_LITE = ".tflite"
PACKAGES = ("tensorflow", "tf2onnx")
# TensorFlow is imported and the model converted; the largest Keras application takes a quarter of it.
SECONDS = 900.0
# The same networks in other kernels; a wrong axis is off by far more.
TOLERANCE = 1e-4


def is_tensorflow(spec: str) -> bool:
    """Whether a specification is a .tflite file or a SavedModel's folder, with or without `#output` behind it."""
    path = _split(spec)[0]
    return path.suffix == _LITE or (path / "saved_model.pb").is_file()


def from_tensorflow(spec: str, input_shape: InputShape | None = None) -> Source:
    """Turn the file into ONNX by tf2onnx, read that, and prove that the module answers as TensorFlow does.

    TensorFlow works in a child process. It runs what a SavedModel calls its initializer while it loads it, and its
    graphs are programs: ops that open files or call Python are refused before that, but a SavedModel of unknown origin
    belongs into a container all the same. A .tflite file has neither.

    Args:
        spec: path of a `.tflite` file or of a SavedModel's folder; `path#name` for one of several outputs, or
            some of them, joined by commas.
        input_shape: without the batch, channels first; needed where the file leaves sizes open, which of several inputs
            it must not.

    Raises:
        RuntimeMissing: TensorFlow or tf2onnx is not installed.
        ModelError: the file is missing, damaged or quantized, has ops without a counterpart, or the
            module computes something else.
    """
    path, output = _split(spec)
    if not path.exists():
        raise ModelError(f"{path} is not there. Give the path of a .tflite file or of a SavedModel's folder.")
    _check_installed()
    with tempfile.TemporaryDirectory(prefix="pocketfit-tensorflow-") as name:
        folder = Path(name)
        _convert(path, input_shape, folder)
        source = from_model(read_file(folder / "model.onnx"), output, input_shape, spec, images_last=True)
        assert isinstance(source.module, OnnxModule)
        _check_parity(source.module, folder, path)
    return replace(source, name=path.stem)


def _split(spec: str) -> tuple[Path, str | None]:
    path, separator, output = spec.partition("#")
    return Path(path), output if separator else None


def _check_installed() -> None:
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise RuntimeMissing(
            f"Not installed: {', '.join(missing)}. Only TensorFlow can read this file. Install it with: "
            'pip install "pocketfit[tensorflow]", or convert the model elsewhere and give the ONNX file: '
            "python -m tf2onnx.convert --saved-model FOLDER --output model.onnx (or --tflite FILE)"
        )


def _convert(path: Path, shape: InputShape | None, folder: Path) -> None:
    """Let the child process do it, and tell what it says."""
    (folder / "request.json").write_text(json.dumps({"path": str(path.resolve()), "shape": shape}))
    # -P: the folder of the script stays out of the path, so that nothing in it is taken for a package.
    command = [sys.executable, "-P", worker.__file__, str(folder)]
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    try:
        child = subprocess.run(command, env=quiet, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ModelError(
            f"{path} was not converted within {SECONDS:.0f} seconds. Convert it to ONNX by hand."
        ) from error
    outcome = _outcome(folder)
    if outcome is None:
        last = next(reversed(child.stderr.strip().splitlines()), "no message")
        raise ModelError(f"TensorFlow ended with code {child.returncode} over {path}: {last}")
    if "refused" in outcome:
        raise ModelError(f"{path} {outcome['refused']}")
    if "failed" in outcome:
        raise ModelError(
            f"tf2onnx cannot turn {path} into ONNX: {outcome['failed']}\n"
            "The file is damaged, or has an op that tf2onnx lacks: cut the model before it, or give the Keras model "
            "itself (.keras)."
        )


def _outcome(folder: Path) -> Any:
    path = folder / "outcome.json"
    return json.loads(path.read_text()) if path.is_file() else None


def _check_parity(module: OnnxModule, folder: Path, path: Path) -> None:
    questions = sorted(folder.glob("question_*.npz"))
    if not questions and len(module.program.inputs) > 1:
        raise ModelError(
            f"{path} has {len(module.program.inputs)} inputs and leaves sizes open, so nothing proves what it "
            "computes. Save it with fixed sizes; the batch may stay open."
        )
    for question in questions:
        with (
            np.load(question) as given,
            np.load(question.with_name(question.name.replace("question", "answer"))) as said,
        ):
            names = list(given) if len(given) == 1 else [one.name for one in module.program.inputs]
            inputs = [torch.from_numpy(given[name]) for name in names]
            expected = [torch.from_numpy(said[name]) for name in module.program.outputs]
        if any(module.channels_last):
            expected = [channels_first(one) for one in expected]
        turned = zip(inputs, module.channels_last, strict=True)
        inputs = [channels_first(one) if last else one for one, last in turned]
        error = max(map(_difference, expected, outputs(module, *inputs)))
        if error > TOLERANCE:
            raise ModelError(
                f"The module made from {path} differs from TensorFlow by {error:.2g} of the output's range; "
                f"{TOLERANCE:.0e} is allowed. Report it together with the model."
            )


def _difference(expected: torch.Tensor, got: torch.Tensor) -> float:
    return relative_error(expected, got) if expected.shape == got.shape else float("inf")
