"""What is special to LiteRT; the contract suite covers what every runtime promises."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from pocketfit.compress.quantize.lower import input_of, integer_bias, integer_weight, plan_bias
from pocketfit.graph.attributes import get_tensor
from pocketfit.testing import MODELS, Artifacts, TinyModel, case_of
from pocketfit.testing.models import Mixed, SqueezeExcite
from pocketfit.types import Artifact, LayerPlan, Precision, QuantizationPlan, Scheme

pytestmark = pytest.mark.slow

LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


class File:
    """A `.tflite` file: its ops, and its tensors by number."""

    def __init__(self, artifact: Artifact) -> None:
        # Without the delegate the interpreter holds the file's own ops.
        self.interpreter = Interpreter(
            str(artifact.files[0]), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
        self.interpreter.allocate_tensors()
        self.ops: list[dict[str, Any]] = self.interpreter._get_ops_details()
        self.tensors = {tensor["index"]: tensor for tensor in self.interpreter.get_tensor_details()}

    def layers(self) -> list[tuple[dict[str, Any], ...]]:
        """Input, weight and bias of each layer, in order."""
        found = [op for op in self.ops if op["op_name"] in LAYERS]
        return [tuple(self.tensors[index] for index in op["inputs"]) for op in found]

    def values(self, tensor: dict[str, Any]) -> np.ndarray:
        values: np.ndarray = self.interpreter.get_tensor(tensor["index"])
        return values

    def dtypes(self) -> Iterator[tuple[str, set[str]]]:
        """Name of each op, with the dtypes of its first input and output."""
        for op in self.ops:
            yield op["op_name"], {self.tensors[op[end][0]]["dtype"].__name__ for end in ("inputs", "outputs")}


@pytest.fixture(scope="module")
def artifacts(artifacts_of: dict[str, Artifacts]) -> Artifacts:
    return artifacts_of["litert"]


@pytest.fixture(scope="module")
def int8(artifacts: Artifacts) -> File:
    return File(artifacts.get(Mixed, Precision.INT8))


@pytest.fixture(scope="module")
def plan() -> QuantizationPlan:
    return case_of(Mixed).plans[Precision.INT8]


def test_activations_have_the_plans_numbers(int8: File, plan: QuantizationPlan) -> None:
    activations = {index for op in int8.ops for index in (op["inputs"][0], *op["outputs"])}
    stored = {numbers(int8.tensors[index]) for index in activations}
    # Signed storage: 128 is taken off the zero point, and the integers stay the same ones.
    assert stored == {(activation.scale, activation.zero_point - 128) for activation in plan.activations.values()}


def test_input_and_output_have_the_plans_numbers(int8: File, plan: QuantizationPlan) -> None:
    model = case_of(Mixed).model
    for details, name in (
        (int8.interpreter.get_input_details()[0], model.input.name),
        (int8.interpreter.get_output_details()[0], model.output.name),
    ):
        assert details["dtype"] is np.int8
        assert numbers(details) == (plan.activations[name].scale, plan.activations[name].zero_point - 128)


def numbers(tensor: dict[str, Any]) -> tuple[float, int]:
    parameters = tensor["quantization_parameters"]
    (scale,), (zero_point,) = parameters["scales"], parameters["zero_points"]
    return float(scale), int(zero_point)


def test_layers_have_the_plans_numbers(int8: File, plan: QuantizationPlan) -> None:
    for (_, weight, _), layer in zip(int8.layers(), plan.layers.values(), strict=True):
        parameters = weight["quantization_parameters"]
        assert weight["dtype"] is np.int8
        assert np.array_equal(int8.values(weight), channels_last(layer))
        assert tuple(map(float, parameters["scales"])) == layer.weight_scales
        assert not parameters["zero_points"].any()


def channels_last(layer: LayerPlan) -> np.ndarray:
    """The plan's integers as LiteRT lays them out; its depthwise weights are 1×H×W×channels."""
    weight = integer_weight(get_tensor(case_of(Mixed).model.graph, layer.weight), layer).numpy()
    if weight.ndim != 4:
        return weight
    return weight.transpose(1, 2, 3, 0) if weight.shape[1] == 1 else weight.transpose(0, 2, 3, 1)


def test_biases_are_the_plans_as_int32(int8: File, plan: QuantizationPlan) -> None:
    graph = case_of(Mixed).model.graph
    nodes = {node.name: node for node in graph.graph.nodes}
    for (_, _, bias), (name, layer) in zip(int8.layers(), plan.layers.items(), strict=True):
        scale = plan.activations[input_of(nodes[name]).name].scale
        planned = plan_bias(graph, nodes[name], layer, Scheme.AFFINE)
        assert planned is not None
        expected, scales = integer_bias(planned, layer, scale)
        assert bias["dtype"] is np.int32
        assert np.array_equal(int8.values(bias), expected)
        assert np.array_equal(bias["quantization_parameters"]["scales"], scales)


@pytest.mark.parametrize("kind", [kind for kind in MODELS if kind is not SqueezeExcite], ids=lambda kind: kind.__name__)
def test_every_op_is_int8(kind: type[TinyModel], artifacts: Artifacts) -> None:
    file = File(artifacts.get(kind, Precision.INT8))
    assert all(dtypes == {"int8"} for _, dtypes in file.dtypes())


def test_hard_sigmoid_alone_is_float(artifacts: Artifacts) -> None:
    """LiteRT has no such op: it comes as a sum and a product, for which no plan can have numbers."""
    file = File(artifacts.get(SqueezeExcite, Precision.INT8))
    floats = [name for name, dtypes in file.dtypes() if "float32" in dtypes]
    assert floats == ["DEQUANTIZE", "ADD", "MUL", "QUANTIZE"]


def test_float_artifacts_take_and_give_float(artifacts: Artifacts) -> None:
    for precision in (Precision.FLOAT32, Precision.FLOAT16):
        artifact = artifacts.get(Mixed, precision)
        assert (artifact.input.dtype, artifact.output.dtype) == ("float32", "float32")


def test_float16_stores_every_weight_in_half(artifacts: Artifacts) -> None:
    file = File(artifacts.get(Mixed, Precision.FLOAT16))
    halves = [tensor for tensor in file.tensors.values() if tensor["dtype"] is np.float16]
    widened = [op for op in file.ops if op["op_name"] == "DEQUANTIZE"]
    layers = case_of(Mixed).plans[Precision.FLOAT16].layers
    assert len(halves) == len(widened) == len(layers)
