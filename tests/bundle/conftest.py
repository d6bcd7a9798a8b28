from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pocketfit.bundle import Contents
from pocketfit.contract import Classes, Color, Contract, Crop, ShorterSide
from pocketfit.types import (
    Accuracy,
    Artifact,
    Candidate,
    Evidence,
    Failure,
    KernelUse,
    Latency,
    Parity,
    Precision,
    Scheme,
    TensorSpec,
)

INPUT, OUTPUT = TensorSpec("image", (1, 1, 4, 4)), TensorSpec("scores", (1, 3))
# Sixteen float32 products added in another order: units in the last place of values near 10.
TOLERANCE = 1e-4


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    """A linear model in float32, in INT8 with other numbers, and a runtime that could not be converted to."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(3, 16)).astype(np.float32)
    inputs = rng.normal(size=(4, 1, 4, 4)).astype(np.float32)
    coarse = np.round(weight, 1)
    rows = [
        Candidate("onnxruntime", Precision.FLOAT32, write_linear(tmp_path, weight, Precision.FLOAT32), evidence()),
        Candidate("onnxruntime", Precision.INT8, write_linear(tmp_path, coarse, Precision.INT8), notes=("Coarse.",)),
        Candidate("litert", Precision.INT8, failure=Failure("convert", "unknown op")),
    ]
    return Contents(
        model="linear",
        source="net.py:build",
        fingerprint="f" * 64,
        input=INPUT,
        output=OUTPUT,
        candidates=tuple(rows),
        chosen=frozenset({("onnxruntime", Precision.INT8)}),
        plans={Precision.FLOAT32: '{"precision": "float32"}', Precision.INT8: '{"precision": "int8"}'},
        golden_inputs=inputs,
        golden_outputs={
            ("onnxruntime", Precision.FLOAT32): inputs.reshape(4, 16) @ weight.T,
            ("onnxruntime", Precision.INT8): inputs.reshape(4, 16) @ coarse.T,
        },
        tolerances={("onnxruntime", Precision.FLOAT32): TOLERANCE, ("onnxruntime", Precision.INT8): TOLERANCE},
        preprocess=Contract(
            resize=ShorterSide(5), crop=Crop((4, 4)), color=Color.GRAY, mean=(0.5,), std=(0.25,), output=Classes()
        ),
        classes=("naïve", "two words", "broken\nline"),
        versions={"pocketfit": "0.1.0", "numpy": "2"},
        report_html="<html></html>",
    )


@pytest.fixture
def edit_manifest() -> Callable[[Path, Callable[[dict], object]], None]:
    """Change the manifest of a bundle by hand, as an attacker or a later version would."""
    import json

    def edit(bundle: Path, change: Callable[[dict], object]) -> None:
        path = bundle / "manifest.json"
        data = json.loads(path.read_text())
        change(data)
        path.write_text(json.dumps(data))

    return edit


def evidence() -> Evidence:
    return Evidence(
        parity=Parity(0.0, 0.0, 1.0, float("inf"), 1.0, 4),
        accuracy=Accuracy("top-1", 90.0, 90.0, 0.0, -1.0, 1.0, 1.0, 100),
        latencies=(Latency(1, 0.5, 0.6, 30, "a host"),),
        peak_memory_bytes=1000,
        kernels=KernelUse(0, 1, "counted by hand"),
        size_bytes=300,
    )


def write_linear(folder: Path, weight: np.ndarray, precision: Precision) -> Artifact:
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["image"], ["flat"]),
            helper.make_node("Gemm", ["flat", "weight"], ["scores"], transB=1),
        ],
        "linear",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, INPUT.shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, OUTPUT.shape)],
        [numpy_helper.from_array(weight, "weight")],
    )
    path = folder / f"made-{precision}" / "model.onnx"
    path.parent.mkdir()
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return Artifact("onnxruntime", precision, Scheme.AFFINE, (path,), INPUT, OUTPUT)
