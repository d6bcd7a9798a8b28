"""The child's side: runs in the environment of the peers, imports nothing of Pocketfit."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import Protocol

import numpy as np
import onnx
import onnxruntime as ort

_INT8_OPS = ("QLinearConv", "ConvInteger", "QLinearMatMul", "MatMulInteger", "QGemm", "MatMulIntegerToFloat")
_FLOAT_OPS = ("Conv", "FusedConv", "ConvTranspose", "Gemm", "FusedGemm", "MatMul", "FusedMatMul")

Feed = dict[str, np.ndarray]


class Peer(Protocol):
    """A quantizer with its options."""

    @property
    def distribution(self) -> str:
        """The name of its package."""

    @property
    def method(self) -> str:
        """What it does, in a few words."""

    def quantize(self, source: Path, feeds: list[Feed], target: Path) -> None:
        """Quantizes a float32 ONNX file.

        Args:
            source: The file.
            feeds: One calibration sample each, batch 1, by the name of the model's input.
            target: The quantized file to write, for ONNX Runtime.
        """


def serve(make: type[Peer]) -> None:
    """Does the job in the folder that the command line names.

    Args:
        make: Makes the quantizer from the job's options.
    """
    folder = Path(sys.argv[1])
    job = json.loads((folder / "job.json").read_text())
    source, target = Path(job["model"]), folder / "quantized.onnx"
    peer = make(**job["options"])
    name = ort.InferenceSession(source).get_inputs()[0].name
    calibration = _feeds(name, folder / "calibration.npy")
    start = time.perf_counter()
    peer.quantize(source, calibration, target)
    seconds = time.perf_counter() - start
    np.save(folder / "outputs.npy", _outputs(target, _feeds(name, folder / "evaluation.npy")))
    int8, layers = _kernels(target, folder)
    about = {
        "seconds": seconds,
        "version": metadata.version(peer.distribution),
        "method": peer.method,
        "int8_layers": int8,
        "layers": layers,
    }
    (folder / "result.json").write_text(json.dumps(about))


def _feeds(name: str, samples: Path) -> list[Feed]:
    return [{name: sample[None]} for sample in np.load(samples)]


def _outputs(model: Path, feeds: list[Feed]) -> np.ndarray:
    session = ort.InferenceSession(model)
    return np.concatenate([session.run(None, feed)[0] for feed in feeds]).astype(np.float32)


def _kernels(model: Path, folder: Path) -> tuple[int, int]:
    """How many layers run on INT8 kernels once ONNX Runtime has optimised the file, and how many there are."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    ort.InferenceSession(model, options)
    counts = Counter(node.op_type for node in onnx.load(folder / "optimised.onnx").graph.node)
    int8 = sum(counts[op] for op in _INT8_OPS)
    return int8, int8 + sum(counts[op] for op in _FLOAT_OPS)
