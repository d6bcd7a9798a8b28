"""One cell of the matrix: converted, opened, run and compared, all in this process."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.matrix.judge import judge
from benchmarks.matrix.memory import watch_memory
from benchmarks.matrix.prepare import Prepared
from pocketfit.errors import ConversionError
from pocketfit.runtimes import get_runtime, runs_here, why_not_run_here
from pocketfit.types import Artifact, LoadedModel, Precision, Runtime, Variant

__all__ = ["PRECISIONS", "convert_cell", "warm_up"]

PRECISIONS = (Precision.FLOAT32, Precision.INT8)

# An op as torch, StableHLO and the like spell it, or what follows the words in which a converter names one.
_OPS = re.compile(
    r"\b(?:aten|prim|torchvision|quantized_decomposed)(?:\.|::)\w+(?:\.\w+)?"
    r"|\b(?:tfl|stablehlo|mhlo)\.\w+"
    r"|(?<=with type \")\w+|(?<=pnnx says: )\w+|(?<=compatible node to NHWC: )[a-z_]+(?=_\d)"
    r"|[A-Z][A-Z0-9_]{4,}(?=\) failed)"
    r"|(?<=no layer for )[\w., ]+|(?<=does not know )[\w., ]+|(?<=cannot translate )[\w.:, ]+"
)


def convert_cell(runtime: str, folder: str, precision: str) -> dict[str, Any]:
    """A prepared network in one runtime and precision.

    Args:
        runtime: its name.
        folder: of `Prepared`.
        precision: float32 or int8.

    Returns:
        A row, without what it says of the network.
    """
    return _convert(get_runtime(runtime), Prepared(Path(folder)), _model(folder), Precision(precision))


@lru_cache(maxsize=1)
def _model(folder: str) -> LoadedModel:
    """Both precisions of a network come one after the other."""
    return Prepared(Path(folder)).model()


def warm_up(runtime: str) -> None:
    """Let the converter import what it needs, so that no cell pays for it."""
    from pocketfit.testing.models import PlainRelu
    from pocketfit.testing.plans import case_of

    case = case_of(PlainRelu)
    for precision in PRECISIONS:
        with tempfile.TemporaryDirectory() as out:
            get_runtime(runtime).convert(case.variant(precision), Path(out))


def _convert(runtime: Runtime, prepared: Prepared, model: LoadedModel, precision: Precision) -> dict[str, Any]:
    row: dict[str, Any] = {"runtime": runtime.info.name, "precision": str(precision), "status": "failed"}
    plan = prepared.plan(model, runtime.info.name, precision)
    with tempfile.TemporaryDirectory(prefix="pocketfit-matrix-") as out, _failures(row):
        row["stage"] = "convert"
        with _cost(row):
            artifact = runtime.convert(Variant(model, plan), Path(out))
        row["size_bytes"] = artifact.size_bytes
        notes = prepared.notes(runtime.info.name) if precision is Precision.INT8 else []
        row["notes"] = [*notes, *artifact.notes]
        if runs_here(runtime):
            row |= _run(runtime, artifact, prepared, precision, row)
        else:
            row |= {"status": "converted", "reason": why_not_run_here(runtime)}
        del row["stage"]
    return row


def _run(
    runtime: Runtime, artifact: Artifact, prepared: Prepared, precision: Precision, row: dict[str, Any]
) -> dict[str, Any]:
    row["stage"] = "open"
    session = runtime.open(artifact)
    row["stage"] = "run"
    got = np.concatenate([session.run([sample[None]])[0] for sample in prepared.inputs()])
    kernels = session.kernels()
    expected, exact = (prepared.expected(runtime.info.name, each) for each in (precision, Precision.FLOAT32))
    verdict = judge(got, expected, exact, precision)
    found = asdict(verdict) | {"int8_kernels": kernels.int8, "kernels": kernels.total}
    if found.pop("agrees"):
        return found | {"status": "agrees"}
    return found | {"status": "disagrees", "reason": f"not {verdict.rule}: {verdict.cosine:.6f}"}


@contextmanager
def _cost(row: dict[str, Any]) -> Iterator[None]:
    start = time.perf_counter()
    with watch_memory() as peak:
        try:
            yield
        finally:
            row["seconds"] = round(time.perf_counter() - start, 2)
    row["peak_mb"] = round(max(peak.own, peak.children))


@contextmanager
def _failures(row: dict[str, Any]) -> Iterator[None]:
    """Put whatever goes wrong into the row."""
    try:
        yield
    except ConversionError as error:
        row |= {"reason": error.message, "hint": error.hint, "op": _op(error.message)}
    except Exception as error:  # not on purpose: the row says so by its type
        row |= {"reason": f"{type(error).__name__}: {error}"[:600], "op": _op(str(error))}


def _op(message: str) -> str | None:
    """The op that a message names, if it names one."""
    found = _OPS.search(message)
    return found.group().strip(" ,.") if found else None
