"""INT8 in three runtimes from one plan, beside float32 in the same runtime: accuracy, agreement, size, latency, parity.

The weights of MobileNetV2 were published in INT8 and read back to float, so that rounding its weights costs nothing:
its drop comes from the activations alone.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.cases import CASES
from benchmarks.results import Row
from benchmarks.runs import held_out, outputs
from pocketfit.bundle import read_bundle
from pocketfit.types import Candidate, Evidence, FitResult, Precision


def run() -> list[Row]:
    """One row per model, runtime and precision, and one per model for the agreement of two runtimes."""
    rows: list[Row] = []
    for case in CASES:
        result, bundle = case.fit()
        rows += [_row(case.name, candidate, result) for candidate in result.candidates]
        rows.append(_same_answers(case.name, bundle, result))
    return rows


def _row(model: str, candidate: Candidate, result: FitResult) -> Row:
    row: Row = {"model": model, "runtime": candidate.runtime, "precision": candidate.precision.value}
    evidence = candidate.evidence
    if evidence is None or evidence.accuracy is None:
        assert candidate.failure is not None
        return row | {"failure": candidate.failure.reason}
    base = _float32(candidate.runtime, result)
    return row | {
        "top1": evidence.accuracy.value,
        "float_top1": evidence.accuracy.float_value,
        "drop_points": evidence.accuracy.drop_points,
        "drop_low": evidence.accuracy.drop_low,
        "drop_high": evidence.accuracy.drop_high,
        "agreement": evidence.accuracy.agreement,
        "size_ratio": evidence.size_bytes / base.size_bytes,
        "latency_ms": evidence.median_ms(1),
        "latency_ratio": evidence.median_ms(1) / base.median_ms(1),
        "latency_ratio_2_threads": evidence.median_ms(2) / base.median_ms(2),
        "parity_cosine": evidence.parity.cosine,
        "parity_agreement": evidence.parity.agreement,
        "int8_kernels": f"{evidence.kernels.int8}/{evidence.kernels.total}",
        "samples": evidence.accuracy.samples,
    }


def _float32(runtime: str, result: FitResult) -> Evidence:
    rows = [row for row in result.candidates if row.runtime == runtime and row.precision is Precision.FLOAT32]
    assert rows[0].evidence is not None
    return rows[0].evidence


def _same_answers(model: str, path: Path, result: FitResult) -> Row:
    """Share of held-out images on which ONNX Runtime and LiteRT give the same answer from the same INT8 plan."""
    bundle = read_bundle(path)
    entries = [entry for entry in bundle.manifest.artifacts if entry.precision is Precision.INT8]
    artifacts = {entry.runtime: bundle.artifact(entry) for entry in entries}
    case = next(case for case in CASES if case.name == model)
    with tempfile.TemporaryDirectory() as work:
        inputs = held_out(case, result, Path(work))
        one, other = (outputs(artifacts[name], inputs, Path(work)) for name in ("onnxruntime", "litert"))
    return {
        "model": model,
        "runtime": "onnxruntime = litert",
        "precision": "int8",
        "agreement": float(np.mean(one.argmax(1) == other.argmax(1))),
        "samples": len(one),
    }
