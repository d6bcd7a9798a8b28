from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pocketfit.contract import Contract, Crop, ShorterSide
from pocketfit.search.choose import choose
from pocketfit.types import (
    Accuracy,
    Artifact,
    Budget,
    Candidate,
    Evidence,
    Failure,
    FitResult,
    KernelUse,
    Latency,
    LayerQuality,
    MetricInfo,
    NotRun,
    Parity,
    Precision,
    Scheme,
    StageTime,
    TensorSpec,
)

HOST = "AMD EPYC, 2 cores, Linux"
F32, F16, I8 = Precision.FLOAT32, Precision.FLOAT16, Precision.INT8


def build_candidate(runtime: str, precision: Precision, size_mb: float, ms: float, drop: float) -> Candidate:
    int8 = precision is I8
    evidence = Evidence(
        parity=Parity(0.31, 0.04, 0.9996, 31.4, 0.996, 1300)
        if int8
        else Parity(0.0, 0.0, 1.0, float("inf"), 1.0, 1300),
        accuracy=Accuracy("top-1", 90.2 - drop, 90.2, drop, drop - 0.5, drop + 0.6, 0.982 if int8 else 1.0, 1300),
        latencies=(Latency(1, ms, ms * 1.13, 64, HOST), Latency(2, ms * 0.58, ms * 0.71, 110, HOST)),
        peak_memory_bytes=round(size_mb * 2.4e6),
        kernels=KernelUse(52 if int8 else 0, 53, "ops in the optimised graph"),
        size_bytes=round(size_mb * 1e6),
    )
    notes = ("SiLU runs as two ops.",) if runtime == "litert" and int8 else ()
    tensor = TensorSpec("x", (1, 3, 224, 224))
    scheme = Scheme.SYMMETRIC if runtime == "ncnn" else Scheme.AFFINE
    artifact = Artifact(
        runtime, precision, scheme, (Path("cache") / "model.bin",), tensor, tensor, {"torch": "2.13.0"}, notes
    )
    return Candidate(runtime, precision, artifact, evidence)


def build_candidates() -> tuple[Candidate, ...]:
    failure = Failure("convert", "litert: no float16 for aten.foo <layer [3]>", "Leave float16 out.")
    return (
        build_candidate("onnxruntime", F32, 14.16, 8.97, 0.0),
        build_candidate("onnxruntime", F16, 7.12, 9.21, 0.0),
        build_candidate("onnxruntime", I8, 3.81, 3.93, 0.15),
        build_candidate("litert", F32, 14.12, 7.83, 0.0),
        Candidate("litert", F16, failure=failure),
        build_candidate("litert", I8, 4.02, 3.45, 0.23),
        build_candidate("ncnn", F32, 13.96, 12.1, 0.0),
        build_candidate("ncnn", F16, 7.02, 12.4, 0.0),
        build_candidate("ncnn", I8, 3.62, 13.7, 0.46),
    )


def build_layers(count: int, worst_db: float) -> tuple[LayerQuality, ...]:
    return tuple(
        LayerQuality(f"conv2d_{index}", "conv2d", f"features.{index}.conv.0", worst_db + (index * 7 % count) * 0.6)
        for index in range(count)
    )


def build_result() -> FitResult:
    candidates = build_candidates()
    budget = Budget(max_drop_points=1.0, max_size_bytes=8_000_000)
    return FitResult(
        model="mobilenet_v2",
        source="zoo.py:mobilenet_v2",
        input=TensorSpec("x", (1, 3, 224, 224)),
        parameters=3_504_872,
        macs=300_774_272,
        preprocess=Contract(
            resize=ShorterSide(256), crop=Crop((224, 224)), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
        ),
        calibration_samples=100,
        evaluation_samples=1300,
        float_value=90.2,
        budget=budget,
        candidates=candidates,
        choices=choose(candidates, budget),
        layers={Scheme.AFFINE: build_layers(53, 9.5), Scheme.SYMMETRIC: build_layers(53, 7.1)},
        notes=("ncnn cannot express a zero point; its activations are symmetric.",),
        stages=(StageTime("load", 6.21, False), StageTime("calibrate", 31.8, True), StageTime("convert", 122.0, False)),
        host=HOST,
        versions={"pocketfit": "0.1.0", "python": "3.11.7", "torch": "2.13.0", "ncnn": "1.0.20261020"},
    )


def with_not_run(result: FitResult) -> FitResult:
    """The same with a runtime that only converts here; its files are smaller than any."""
    reason = "Core ML runs on macOS only, and this is Linux"
    rows = tuple(
        Candidate("coreml", precision, not_run=NotRun(reason, size, KernelUse(int8, 53, "layers in the file")))
        for precision, size, int8 in ((F32, 3_000_000, 0), (I8, 750_000, 53))
    )
    candidates = (*result.candidates, *rows)
    return replace(result, candidates=candidates, choices=choose(candidates, result.budget))


def without_labels(result: FitResult) -> FitResult:
    candidates = tuple(
        replace(row, evidence=replace(row.evidence, accuracy=None)) if row.evidence else row
        for row in result.candidates
    )
    budget = replace(result.budget, max_drop_points=None)
    return replace(result, candidates=candidates, float_value=None, budget=budget, choices=choose(candidates, budget))


def with_psnr(result: FitResult) -> FitResult:
    """The same as if it had been judged in decibel."""
    candidates = tuple(
        replace(row, evidence=replace(row.evidence, accuracy=in_decibel(row.evidence.accuracy)))
        if row.evidence and row.evidence.accuracy
        else row
        for row in result.candidates
    )
    budget = replace(result.budget, max_drop_points=0.3)
    return replace(
        result,
        candidates=candidates,
        budget=budget,
        choices=choose(candidates, budget),
        float_value=31.5,
        metric=MetricInfo("psnr", "dB"),
    )


def in_decibel(accuracy: Accuracy) -> Accuracy:
    lost = accuracy.drop_points
    return Accuracy("psnr", 31.5 - lost, 31.5, lost, lost - 0.04, lost + 0.05, None, accuracy.samples, "dB")


@pytest.fixture
def psnr(result: FitResult) -> FitResult:
    return with_psnr(result)


@pytest.fixture
def result() -> FitResult:
    return build_result()


@pytest.fixture
def not_run(result: FitResult) -> FitResult:
    return with_not_run(result)


@pytest.fixture
def unlabelled() -> Callable[[FitResult], FitResult]:
    return without_labels
