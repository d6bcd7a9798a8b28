"""What is special to ONNX Runtime; the contract suite covers what every runtime promises."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from pocketfit.compress.quantize.lower import integer_bias, integer_weight, plan_bias
from pocketfit.graph.attributes import get_tensor
from pocketfit.testing import MODELS, Artifacts, TinyModel, case_of
from pocketfit.testing.models import Mixed
from pocketfit.types import Artifact, Precision, QuantizationPlan, Scheme

pytestmark = pytest.mark.slow


class File:
    """An `.onnx` file, by the names of its values."""

    def __init__(self, artifact: Artifact) -> None:
        self.program = onnx.load(artifact.files[0])
        self.graph = self.program.graph
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in self.graph.initializer}
        self.producers = {output: node for node in self.graph.node for output in node.output}

    def nodes(self, *ops: str) -> list[onnx.NodeProto]:
        return [node for node in self.graph.node if node.op_type in ops]

    def dequantized(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Integers, scales and zero points of a constant that a DequantizeLinear gives."""
        integers, scales, zero_points = (self.constants[part] for part in self.producers[name].input)
        return integers, scales, zero_points


@pytest.fixture(scope="module")
def artifacts(artifacts_of: dict[str, Artifacts]) -> Artifacts:
    return artifacts_of["onnxruntime"]


@pytest.fixture(scope="module")
def int8(artifacts: Artifacts) -> File:
    return File(artifacts.get(Mixed, Precision.INT8))


@pytest.fixture(scope="module")
def plan() -> QuantizationPlan:
    return case_of(Mixed).plans[Precision.INT8]


def test_activations_have_the_plans_numbers(int8: File, plan: QuantizationPlan) -> None:
    stored = {}
    for node in int8.nodes("QuantizeLinear"):
        tensor, scale, zero_point = node.input
        stored[tensor] = (int8.constants[scale], int8.constants[zero_point])
    assert stored.keys() == plan.activations.keys()
    for name, (scale, zero_point) in stored.items():
        assert scale.dtype == np.float32
        # The plan's scales are float32 values, so that no file has to round them.
        assert float(scale) == plan.activations[name].scale
        assert zero_point.dtype == np.uint8, "signed activations are slower than float on x86"
        assert int(zero_point) == plan.activations[name].zero_point


def test_every_tensor_is_restored_with_the_numbers_it_was_stored_with(int8: File) -> None:
    for node in int8.nodes("DequantizeLinear"):
        producer = int8.producers.get(node.input[0])
        if producer is not None:
            assert [int8.constants[name] for name in node.input[1:]] == [
                int8.constants[name] for name in producer.input[1:]
            ]


def test_layers_have_the_plans_numbers(int8: File, plan: QuantizationPlan) -> None:
    model = case_of(Mixed).model
    layers = int8.nodes("Conv", "Gemm")
    assert [node.output[0] for node in layers] == list(plan.layers)
    for node in layers:
        layer = plan.layers[node.output[0]]
        weight, scales, zero_points = int8.dequantized(node.input[1])
        assert weight.dtype == np.int8
        assert np.array_equal(weight, integer_weight(get_tensor(model.graph, layer.weight), layer))
        assert tuple(map(float, scales)) == layer.weight_scales
        assert not zero_points.any()


def test_biases_are_the_plans_as_int32(int8: File, plan: QuantizationPlan) -> None:
    graph = case_of(Mixed).model.graph
    nodes = {node.name: node for node in graph.graph.nodes}
    for node in int8.nodes("Conv", "Gemm"):
        layer = plan.layers[node.output[0]]
        planned = plan_bias(graph, nodes[node.output[0]], layer, Scheme.AFFINE)
        assert planned is not None
        source = int8.producers[int8.producers[node.input[0]].input[0]].input[0]
        expected, scales = integer_bias(planned, layer, plan.activations[source].scale)
        stored = int8.dequantized(node.input[2])
        assert stored[0].dtype == np.int32
        assert np.array_equal(stored[0], expected)
        assert np.array_equal(stored[1], scales)


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
def test_every_layer_runs_on_an_integer_kernel(kind: type[TinyModel], artifacts: Artifacts, tmp_path: Path) -> None:
    ops = optimised_ops(artifacts.get(kind, Precision.INT8), tmp_path / "optimised.onnx")
    assert ops["QLinearConv"] + ops["QGemm"] == len(case_of(kind).plans[Precision.INT8].layers)
    assert not ops.keys() & {"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "ConvInteger", "MatMulInteger"}


def test_activation_functions_vanish_into_the_layers(artifacts: Artifacts, tmp_path: Path) -> None:
    ops = optimised_ops(artifacts.get(Mixed, Precision.INT8), tmp_path / "optimised.onnx")
    # Channels last inside: one transpose on the way in and one before the mean.
    assert ops["Clip"] == 0
    assert ops["Transpose"] <= 2


def optimised_ops(artifact: Artifact, path: Path) -> Counter[str]:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 3  # it warns that the optimised file is for this processor alone
    onnxruntime.InferenceSession(artifact.files[0], options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def test_float16_stores_every_weight_in_half_and_nothing_else(artifacts: Artifacts) -> None:
    file = File(artifacts.get(Mixed, Precision.FLOAT16))
    model = case_of(Mixed).model
    weights = {layer.weight for layer in case_of(Mixed).plans[Precision.FLOAT16].layers.values()}
    halves = [tensor for tensor in file.constants.values() if tensor.dtype == np.float16]
    expected = [get_tensor(model.graph, name).half().numpy() for name in weights]
    assert sorted(half.tobytes() for half in halves) == sorted(half.tobytes() for half in expected)


@pytest.mark.parametrize("precision", Precision)
def test_the_file_tells_nothing_of_the_machine_it_was_made_on(artifacts: Artifacts, precision: Precision) -> None:
    artifact = artifacts.get(Mixed, precision)
    program = File(artifact).program
    content = artifact.files[0].read_bytes()
    for trace in (".py", "stack_trace", sys.prefix, str(Path.cwd()), str(Path.home())):
        assert trace.encode() not in content
    graph = program.graph
    for item in (program, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        assert not item.metadata_props
        assert not item.doc_string


@pytest.mark.parametrize("precision", Precision)
def test_the_file_is_a_valid_model(artifacts: Artifacts, precision: Precision) -> None:
    program = File(artifacts.get(Mixed, precision)).program
    onnx.checker.check_model(program, full_check=True)
    assert [(opset.domain, opset.version) for opset in program.opset_import] == [("", 20)]


def test_nothing_is_reported_or_stored_about_the_user(artifacts: Artifacts, tmp_path: Path) -> None:
    # A fresh process with a home of its own: ONNX Runtime writes a device identifier there unless told not to.
    artifact = artifacts.get(Mixed, Precision.INT8)
    program = (
        "import numpy, sys; from pathlib import Path; from pocketfit.runtimes import get_runtime; "
        "from pocketfit.types import *; "
        "spec = TensorSpec('x', (1,)); "
        "artifact = Artifact('onnxruntime', Precision.INT8, Scheme.AFFINE, (Path(sys.argv[1]),), spec, spec); "
        "get_runtime('onnxruntime').open(artifact).kernels()"
    )
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, "-c", program, str(artifact.files[0])], env=environment, check=True)
    assert list(tmp_path.rglob("*onnxruntime*")) == []
