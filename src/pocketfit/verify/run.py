"""Run an artifact over many samples in a child process.

Samples ─store_inputs→ folder/inputs.npy [+ preprocess.json] ─outputs_of→ outputs.npy, KernelUse
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pocketfit.contract import Contract, contract_from_json, contract_to_json
from pocketfit.runtimes.isolate import call
from pocketfit.runtimes.work import artifact_to_json
from pocketfit.types import Artifact, KernelUse, Samples

if TYPE_CHECKING:
    import numpy as np

__all__ = ["load_inputs", "outputs_of", "store_inputs"]

TARGET = "pocketfit.verify.work:run_artifact"
TIMEOUT_S = 4 * 3600.0


def store_inputs(samples: Samples, folder: Path) -> None:
    """Write the samples' inputs, and the preprocessing of uint8 ones, into the existing folder."""
    import numpy as np

    np.save(folder / "inputs.npy", samples.inputs)
    if samples.preprocess is not None:
        (folder / "preprocess.json").write_text(contract_to_json(samples.preprocess), encoding="utf-8")


def load_inputs(folder: Path) -> tuple[np.ndarray, Contract | None]:
    """Read what `store_inputs` wrote; the array is memory-mapped."""
    import numpy as np

    inputs = np.load(folder / "inputs.npy", mmap_mode="c")  # torch warns of what cannot be written
    spec = folder / "preprocess.json"
    return inputs, contract_from_json(spec.read_text(encoding="utf-8")) if spec.exists() else None


def outputs_of(
    artifact: Artifact,
    inputs: Path,
    out: Path,
    *,
    progress: Callable[[int], None] | None = None,
    threads: int = 1,
    timeout_s: float = TIMEOUT_S,
    log: Path | None = None,
) -> KernelUse:
    """Run the artifact on every sample and store its outputs, several ones as `pocketfit.rows.together` puts them.

    Args:
        artifact: to be run.
        inputs: folder written by `store_inputs`.
        out: file for the outputs, float32 N×…; it appears when all samples are done.
        progress: called now and then with the number of samples done since the last time.
        threads: handed to the runtime.
        timeout_s: wall-clock seconds for all samples together.
        log: receives what the runtime prints.

    Returns:
        The kernels that the artifact's compute ops were given.

    Raises:
        RuntimeMissing: the runtime's packages are not installed.
        OutputError: the disk is full.
        IsolationError: the runtime crashed, hung or raised.
    """
    done = out.with_name(f"{out.name}.done")
    arguments = {
        "artifact": artifact_to_json(artifact),
        "folder": artifact.files[0].parent,
        "inputs": inputs,
        "out": out,
        "done": done,
        "threads": threads,
    }

    reporter = _Reporter(done, progress)
    try:
        result = call(
            "pocketfit.verify.work:run_artifact", arguments, timeout_s=timeout_s, log=log, on_poll=reporter.look
        )
    finally:
        done.unlink(missing_ok=True)
    reporter.report(result["samples"])
    return KernelUse(**result["kernels"])


class _Reporter:
    """Turns the child's count of samples into increments."""

    def __init__(self, done: Path, progress: Callable[[int], None] | None) -> None:
        self._done = done
        self._progress = progress
        self._reported = 0

    def look(self) -> None:
        if self._progress is not None and self._done.exists():
            with contextlib.suppress(ValueError):  # just being rewritten
                self.report(int(self._done.read_text()))

    def report(self, count: int) -> None:
        if self._progress is not None and count > self._reported:
            self._progress(count - self._reported)
            self._reported = count
