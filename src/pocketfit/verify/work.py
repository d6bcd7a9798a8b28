"""The child's part of verifying: open one artifact and run it on every sample."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pocketfit.data.preprocess import batches
from pocketfit.errors import DataError
from pocketfit.rows import apart, together
from pocketfit.runtimes import get_runtime, require
from pocketfit.runtimes.batch import is_dynamic
from pocketfit.runtimes.work import artifact_from_json
from pocketfit.types import Samples, Session, TensorSpec
from pocketfit.verify.run import load_inputs

if TYPE_CHECKING:
    import numpy as np

__all__ = ["run_artifact"]

REPORT_SECONDS = 0.2
# Of an artifact that takes any: more than one, and mostly not all of the samples.
_AT_ONCE = 3


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
        given = batches(Samples(values, None, spec), _AT_ONCE if is_dynamic(opened.options) else 1)
        _write_outputs(session, given, opened.inputs, len(values), partial, Path(done))
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    return {"samples": len(values), "kernels": dataclasses.asdict(session.kernels())}


def _write_outputs(
    session: Session, given: Iterable[np.ndarray], specs: Sequence[TensorSpec], count: int, out: Path, done: Path
) -> None:
    """Write batch after batch, so that neither inputs nor outputs have to fit into memory."""
    import numpy as np

    last_report, finished = time.monotonic(), 0
    with out.open("wb") as stream:
        for batch in given:
            rows = np.ascontiguousarray(together(session.run(apart(batch, specs))), dtype="<f4")
            if finished == 0:
                header = {"descr": "<f4", "fortran_order": False, "shape": (count, *rows.shape[1:])}
                np.lib.format.write_array_header_1_0(stream, header)
            stream.write(rows.tobytes())
            finished += len(batch)
            if time.monotonic() - last_report > REPORT_SECONDS:
                done.write_text(str(finished))
                last_report = time.monotonic()
