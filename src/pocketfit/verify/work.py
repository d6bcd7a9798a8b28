"""The child's part of verifying: open one artifact and run it on every sample."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pocketfit.data.preprocess import batches
from pocketfit.errors import DataError
from pocketfit.runtimes import get_runtime, require
from pocketfit.runtimes.work import artifact_from_json
from pocketfit.types import Samples, Session
from pocketfit.verify.run import load_inputs

if TYPE_CHECKING:
    import numpy as np

__all__ = ["run_artifact"]

REPORT_SECONDS = 0.2


def run_artifact(
    artifact: Mapping[str, object], folder: str, inputs: str, out: str, done: str, threads: int
) -> dict[str, object]:
    """See `pocketfit.verify.run.outputs_of`; `done` is a file that holds the number of samples done so far."""
    opened = artifact_from_json(artifact, Path(folder))
    runtime = get_runtime(opened.runtime)
    require(runtime)
    values, spec = load_inputs(Path(inputs))
    if len(values) == 0:
        raise DataError(f"{inputs} holds no sample; give at least one")
    session = runtime.open(opened, threads=threads)
    partial = Path(f"{out}.partial")
    try:
        _write_outputs(session, batches(Samples(values, None, spec), 1), len(values), partial, Path(done))
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    return {"samples": len(values), "kernels": dataclasses.asdict(session.kernels())}


def _write_outputs(session: Session, samples: Iterable[np.ndarray], count: int, out: Path, done: Path) -> None:
    """Write row after row, so that neither inputs nor outputs have to fit into memory."""
    import numpy as np

    last_report = time.monotonic()
    with out.open("wb") as stream:
        for index, sample in enumerate(samples):
            row = np.ascontiguousarray(session.run([sample])[0], dtype="<f4")
            if index == 0:
                header = {"descr": "<f4", "fortran_order": False, "shape": (count, *row.shape[1:])}
                np.lib.format.write_array_header_1_0(stream, header)
            stream.write(row.tobytes())
            if time.monotonic() - last_report > REPORT_SECONDS:
                done.write_text(str(index + 1))
                last_report = time.monotonic()
