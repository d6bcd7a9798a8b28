"""Plans of more than 8-bit weights and activations: what the files hold, and which kernels run.

That their answers are those of the simulation is a check of the contract suite.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto
from torch import nn

from pocketfit.compress.quantize.arithmetic import Arithmetic, arithmetic, written_tensor
from pocketfit.compress.quantize.placement import is_layer
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.errors import ConversionError
from pocketfit.runtimes import BUILT_IN, get_runtime, runs_here
from pocketfit.runtimes.litert_format import unpack
from pocketfit.runtimes.ncnn_format import read_network
from pocketfit.testing import MIXED_PLANS, Artifacts, Case, TinyModel, case_of
from pocketfit.testing.models import Mixed
from pocketfit.types import Artifact, Precision, QuantizationPlan, Scheme, Variant

pytestmark = pytest.mark.slow

HALF = "half layers"
# What does not run here is looked into by its own tests.
RUNNING = [name for name in BUILT_IN if runs_here(get_runtime(name))]


class Sequence(TinyModel):
    """Linear layers on five rows at once, as in a transformer."""

    input_shape = (5, 32)

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


@pytest.fixture(scope="module")
def case() -> Case:
    return case_of(Mixed)


def kinds(case: Case, plan: QuantizationPlan) -> Counter[Arithmetic]:
    return Counter(arithmetic(node, plan) for node in case.model.graph.graph.nodes if is_layer(node))


def on_integers(case: Case, plan: QuantizationPlan, scheme: Scheme) -> int:
    """How many layers multiply integers: affine kernels must write 8 bits for it, unless they quantize at run time."""
    layers = [node for node in case.model.graph.graph.nodes if is_layer(node)]
    if scheme is Scheme.SYMMETRIC:
        return kinds(case, plan)[Arithmetic.INTEGER]
    return kinds(case, plan)[Arithmetic.DYNAMIC] + sum(written_tensor(node, plan) is not None for node in layers)


@pytest.mark.parametrize("runtime", RUNNING)
@pytest.mark.parametrize("name", MIXED_PLANS)
def test_the_layers_that_should_run_on_integers_do(
    artifacts_of: dict[str, Artifacts], case: Case, runtime: str, name: str
) -> None:
    """ONNX Runtime and LiteRT both quantize float layers between INT8 tensors unless they are kept from it."""
    made = get_runtime(runtime)
    used = made.open(artifacts_of[runtime].get(Mixed, name)).kernels()
    assert used.int8 == on_integers(case, case.expressible(name, made.info), made.info.scheme)
    assert used.total == len(case.plans[Precision.INT8].layers)


@pytest.mark.parametrize("runtime", BUILT_IN)
def test_half_and_weight_only_layers_make_small_files(artifacts_of: dict[str, Artifacts], runtime: str) -> None:
    size = {
        plan: artifacts_of[runtime].get(Mixed, plan).size_bytes
        for plan in (Precision.FLOAT32, HALF, "float layers", "weight-only", "16-bit activations")
    }
    assert size[HALF] < size["float layers"] < size[Precision.FLOAT32]
    # A quarter of float32, or half of it where there is no weight-only, and some kilobytes of graph.
    share = 0.25 if get_runtime(runtime).info.weight_only else 0.5
    assert size["weight-only"] < share * size[Precision.FLOAT32] + 20_000
    assert size["16-bit activations"] < share * size[Precision.FLOAT32] + 20_000


@pytest.mark.parametrize("runtime", BUILT_IN)
def test_what_cannot_be_expressed_is_refused(
    case: Case, runtime: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = get_runtime(runtime)
    beyond = [name for name in MIXED_PLANS if case.expressible(name, made.info) != case.mixed[name]]
    assert (
        beyond
        == {
            "onnxruntime": [],
            "litert": ["16-bit activations", "some 16-bit tensors"],
            "ncnn": ["16-bit activations", "some 16-bit tensors", "weight-only", "4-bit weight-only", "dynamic"],
            "mnn": ["16-bit activations", "some 16-bit tensors", "dynamic"],
            "executorch": ["16-bit activations", "some 16-bit tensors", "weight-only", "4-bit weight-only", "dynamic"],
            "coreml": ["16-bit activations", "some 16-bit tensors", "dynamic"],
        }[runtime]
    )
    for name in beyond:
        with pytest.raises(ConversionError, match="cannot express the plan"):
            made.convert(Variant(case.model, case.mixed[name]), tmp_path_factory.mktemp(runtime))


def test_the_nearest_plan_is_near(case: Case) -> None:
    """What a runtime answers instead is as good as the plan that was asked for, to a decibel or two."""
    floats = simulate(case.model, case.plans[Precision.FLOAT32], Scheme.AFFINE, [case.samples.copy()])

    def error(plan: QuantizationPlan, scheme: Scheme) -> float:
        return float(np.square(simulate(case.model, plan, scheme, [case.samples.copy()]) - floats).mean())

    for info in (get_runtime(name).info for name in BUILT_IN):
        for name in MIXED_PLANS:
            asked, given = (error(plan, info.scheme) for plan in (case.mixed[name], case.expressible(name, info)))
            assert given <= 1.5 * asked, (info.name, name)


def test_onnx_keeps_float_layers_on_sequences_float(tmp_path: Path) -> None:
    """Where a layer multiplies several rows, ONNX Runtime makes a Gemm of it by itself, and would quantize that."""
    case = case_of(Sequence)
    runtime = get_runtime("onnxruntime")
    session = runtime.open(runtime.convert(Variant(case.model, case.mixed[HALF]), tmp_path))
    assert (session.kernels().int8, session.kernels().total) == (2, 3)
    expected = simulate(case.model, case.mixed[HALF], Scheme.AFFINE, [case.samples.copy()])
    got = np.concatenate([session.run([sample[None]])[0] for sample in case.samples])
    assert (
        np.abs(got - expected).max() <= 1.001 * case.output_steps(Scheme.AFFINE).max()
    )  # a tie that is rounded elsewhere


@pytest.mark.parametrize(("runtime", "dynamic"), [("onnxruntime", 3), ("litert", 0)])
def test_a_range_per_sample_is_not_one_per_row(runtime: str, dynamic: int) -> None:
    case = case_of(Sequence)
    plan = case.expressible("dynamic", get_runtime(runtime).info)
    assert sum(layer.dynamic for layer in plan.layers.values()) == dynamic


def onnx_graph(artifact: Artifact) -> onnx.GraphProto:
    program = onnx.load(artifact.files[0])
    onnx.checker.check_model(program, full_check=True)
    return program.graph


def test_onnx_has_four_bit_weights(artifacts_of: dict[str, Artifacts], case: Case) -> None:
    for name in ("4-bit weights", "4-bit weight-only"):
        narrow = [layer for layer in case.mixed[name].layers.values() if layer.weight_bits == 4]
        graph = onnx_graph(artifacts_of["onnxruntime"].get(Mixed, name))
        stored = [tensor for tensor in graph.initializer if tensor.data_type == TensorProto.INT4]
        assert len(stored) == len(narrow) > 0


def test_onnx_has_sixteen_bit_activations(artifacts_of: dict[str, Artifacts], case: Case) -> None:
    graph = onnx_graph(artifacts_of["onnxruntime"].get(Mixed, "16-bit activations"))
    constants = {tensor.name: tensor for tensor in graph.initializer}
    points = [constants[node.input[2]] for node in graph.node if node.op_type == "QuantizeLinear"]
    assert len(points) == len(case.mixed["16-bit activations"].activations)
    assert {point.data_type for point in points} == {TensorProto.INT16}


def test_onnx_uses_the_older_opset_where_it_can(artifacts_of: dict[str, Artifacts]) -> None:
    opsets = {
        name: onnx.load(artifacts_of["onnxruntime"].get(Mixed, name).files[0]).opset_import[0].version
        for name in (Precision.INT8, HALF, "weight-only", "dynamic", "16-bit activations", "4-bit weights")
    }
    assert list(opsets.values()) == [20, 20, 20, 20, 21, 21]


def litert_weights(artifact: Artifact) -> Counter[int]:
    """Types of the constants that layers read, through DEQUANTIZE ops."""
    model = unpack(artifact.files[0].read_bytes())
    (graph,) = model.subgraphs
    codes = [model.operatorCodes[op.opcodeIndex].builtinCode for op in graph.operators]
    ops = schema.BuiltinOperator
    restored = {
        op.outputs[0]: op.inputs[0] for op, code in zip(graph.operators, codes, strict=True) if code == ops.DEQUANTIZE
    }
    layers = (ops.CONV_2D, ops.DEPTHWISE_CONV_2D, ops.FULLY_CONNECTED)
    weights = [op.inputs[1] for op, code in zip(graph.operators, codes, strict=True) if code in layers]
    return Counter(graph.tensors[restored.get(weight, weight)].type for weight in weights)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (HALF, {schema.TensorType.INT8: 4, schema.TensorType.FLOAT16: 3}),
        ("float layers", {schema.TensorType.INT8: 4, schema.TensorType.FLOAT32: 3}),
        ("weight-only", {schema.TensorType.INT8: 7}),
        ("dynamic", {schema.TensorType.INT8: 7}),
        # XNNPACK has a kernel for four bits in linear layers alone.
        ("4-bit weights", {schema.TensorType.INT8: 6, schema.TensorType.INT4: 1}),
        ("4-bit weight-only", {schema.TensorType.INT8: 7}),
    ],
)
def test_litert_stores_weights_as_the_plan_has_them(
    artifacts_of: dict[str, Artifacts], name: str, expected: dict[int, int]
) -> None:
    assert litert_weights(artifacts_of["litert"].get(Mixed, name)) == expected


def test_litert_names_the_four_bit_weights_that_take_eight(artifacts_of: dict[str, Artifacts]) -> None:
    (note,) = artifacts_of["litert"].get(Mixed, "4-bit weights").notes
    assert note.endswith("conv2d_2, conv2d_3, conv2d_4, conv2d_5")


def test_litert_keeps_no_barrier(artifacts_of: dict[str, Artifacts]) -> None:
    model = unpack(artifacts_of["litert"].get(Mixed, HALF).files[0].read_bytes())
    left = {model.operatorCodes[op.opcodeIndex].builtinCode for op in model.subgraphs[0].operators}
    assert schema.BuiltinOperator.FLOOR not in left


def test_ncnn_stores_half_layers_in_half(artifacts_of: dict[str, Artifacts]) -> None:
    network = read_network(*artifacts_of["ncnn"].get(Mixed, HALF).files)
    dtypes = Counter(layer.blobs[0].values.dtype.name for layer in network if layer.blobs)
    assert dtypes == {"int8": 4, "float16": 3}
