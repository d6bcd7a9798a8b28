"""A runtime's own figure for the activation memory of a model, to stand beside the planned one."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from pocketfit.runtimes import get_runtime, require, require_here
from pocketfit.runtimes.isolate import call
from pocketfit.runtimes.work import artifact_from_json, artifact_to_json, convert_float_in_child
from pocketfit.types import ActivationMemory, LoadedModel, MemoryTelling, Runtime

__all__ = ["ask_runtime"]

TIMEOUT_S = 900.0


def ask_runtime(model: LoadedModel, runtime: Runtime) -> ActivationMemory | None:
    """Convert a model in float32 and ask the runtime what its activations take, both in child processes.

    Args:
        model: in canonical form.
        runtime: whom to ask.

    Returns:
        None where the runtime does not tell.

    Raises:
        RuntimeMissing: the runtime is not installed, or does not run here.
        ConversionError: it does not take the model.
        IsolationError: it crashed or hung.
    """
    if not isinstance(runtime, MemoryTelling):
        return None
    require(runtime)
    require_here(runtime)
    with tempfile.TemporaryDirectory(prefix="pocketfit-memory-") as folder:
        artifact = convert_float_in_child(model, runtime.info.name, Path(folder))
        arguments = {"artifact": artifact_to_json(artifact), "folder": artifact.files[0].parent}
        told = call("pocketfit.runtimes.activations:ask", arguments, timeout_s=TIMEOUT_S)
    return None if told is None else ActivationMemory(**told)


def ask(artifact: Mapping[str, object], folder: str) -> dict[str, object] | None:
    """The child's part of `ask_runtime`."""
    opened = artifact_from_json(artifact, Path(folder))
    runtime = get_runtime(opened.runtime)
    assert isinstance(runtime, MemoryTelling)
    told = runtime.activation_memory(opened)
    return None if told is None else asdict(told)
