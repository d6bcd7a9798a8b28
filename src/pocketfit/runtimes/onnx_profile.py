"""The memory that ONNX Runtime takes for activations, as its profiler notes it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pocketfit.types import ActivationMemory, Artifact

__all__ = ["profiled_memory"]

_IN_USE = "mem_bytes_in_use"
_CHANGED = "mem_in_use_delta"


def profiled_memory(onnxruntime: Any, artifact: Artifact) -> ActivationMemory | None:
    """Run twice: from the second run on, memory is planned after what the first one took.

    Args:
        onnxruntime: the module.
        artifact: run on the CPU with one thread.

    Returns:
        What the second run takes beyond what is there between runs, the inputs left out, since they belong to the
        caller; None where this version's profiler says nothing of memory.
    """
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(str(artifact.files[0]), options, providers=["CPUExecutionProvider"])
        feed = {given.name: np.zeros(given.shape, given.dtype) for given in artifact.inputs}
        for _ in range(2):
            session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_text())
    kernels = [event["args"] for event in events if _IN_USE in event.get("args", {})]
    return _beyond_weights(kernels) if kernels else None


def _beyond_weights(kernels: Sequence[dict[str, str]]) -> ActivationMemory:
    before = int(kernels[0][_IN_USE]) - int(kernels[0][_CHANGED])
    second = kernels[len(kernels) // 2 :]
    most = max(int(one[_IN_USE]) for one in second)
    return ActivationMemory(most - before, "in use in its arena beyond the weights, the inputs left out")
