"""Several samples an inference, on this host."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pocketfit.devices.measure.here import Here
from pocketfit.devices.measure.place import measure_at
from pocketfit.errors import IsolationError, OptionError
from pocketfit.types import Artifact, Precision, Scheme, TensorSpec

SIDE = 8
BATCH = 3


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    """Said to take any number of samples; the file takes three alone, so that the number that is run is known."""
    weight = np.random.default_rng(0).normal(size=(SIDE, SIDE)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "weight"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [BATCH, SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [BATCH, SIDE])],
        [numpy_helper.from_array(weight, "weight")],
    )
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    specs = (TensorSpec("x", (1, SIDE)), TensorSpec("y", (1, SIDE)))
    return Artifact("onnxruntime", Precision.FLOAT32, Scheme.AFFINE, (path,), *specs, options={"batch": "dynamic"})


def test_a_batch_is_measured(artifact: Artifact) -> None:
    assert measure_at(Here(), artifact, threads=1, runs=5, batch=BATCH).batch == BATCH
    with pytest.raises(IsolationError, match="Expected: 3"):
        measure_at(Here(), artifact, threads=1, runs=5)


@pytest.mark.parametrize(("options", "batch"), [({}, 2), ({"batch": "1"}, 2), ({"batch": "dynamic"}, 17)])
def test_a_batch_that_the_file_does_not_take_is_refused(
    artifact: Artifact, options: dict[str, str], batch: int
) -> None:
    with pytest.raises(OptionError, match=f"--batch {batch}"):
        measure_at(Here(), replace(artifact, options=options), threads=1, runs=5, batch=batch)
