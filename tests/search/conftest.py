from collections.abc import Callable

import pytest

from pocketfit.types import Accuracy, Candidate, Evidence, Failure, KernelUse, Latency, NotRun, Parity, Precision


def build_candidate(
    precision: Precision,
    *,
    runtime: str = "onnxruntime",
    size_bytes: int = 4_000_000,
    ms: float = 5.0,
    drop: float | None = 0.2,
) -> Candidate:
    accuracy = None if drop is None else Accuracy("top-1", 90 - drop, 90.0, drop, drop - 0.4, drop + 0.4, 0.98, 500)
    evidence = Evidence(
        parity=Parity(0.1, 0.01, 0.999, 40.0, 1.0, 100),
        accuracy=accuracy,
        latencies=(Latency(1, ms, ms * 1.1, 30, "this host"), Latency(2, ms / 1.8, ms / 1.7, 30, "this host")),
        peak_memory_bytes=20_000_000,
        kernels=KernelUse(0, 10, "ops in the optimised graph"),
        size_bytes=size_bytes,
    )
    return Candidate(runtime, precision, evidence=evidence)


def build_failed(precision: Precision, reason: str, *, runtime: str = "onnxruntime") -> Candidate:
    return Candidate(runtime, precision, failure=Failure("convert", reason, "Leave the layer float."))


def build_not_run(precision: Precision, *, runtime: str = "coreml", size_bytes: int = 1000) -> Candidate:
    return Candidate(runtime, precision, not_run=NotRun("it runs on macOS only", size_bytes, KernelUse(10, 10, "file")))


@pytest.fixture
def not_run() -> Callable[..., Candidate]:
    return build_not_run


@pytest.fixture
def candidate() -> Callable[..., Candidate]:
    return build_candidate


@pytest.fixture
def failed() -> Callable[..., Candidate]:
    return build_failed
