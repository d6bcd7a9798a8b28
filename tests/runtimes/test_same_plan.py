"""One calibration, deployed unchanged: what the runtimes' files and answers have in common."""

import numpy as np
import pytest

from pocketfit.compress.quantize.lower import input_of, integer_weight
from pocketfit.compress.quantize.plan import float_plan
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.data.digits import Digits, read_digits
from pocketfit.graph.attributes import get_tensor
from pocketfit.models.canonical import canonicalise
from pocketfit.models.zoo.digits_cnn import DigitsCnn, trained_digits_cnn
from pocketfit.runtimes import BUILT_IN, get_runtime, runs_here
from pocketfit.runtimes.ncnn_format import read_network
from pocketfit.testing import Artifacts, case_of, plans_of
from pocketfit.testing.models import Mixed
from pocketfit.types import LoadedModel, Precision, QuantizationPlan, Scheme, Variant

pytestmark = pytest.mark.slow

SAMPLES = 200
# What does not run here is looked into by its own tests.
RUNNING = [name for name in BUILT_IN if runs_here(get_runtime(name))]


@pytest.fixture(scope="module")
def digits() -> Digits:
    return read_digits()


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return canonicalise(trained_digits_cnn(), DigitsCnn.input_shape, name="digits")


@pytest.fixture(scope="module")
def plan(model: LoadedModel, digits: Digits) -> QuantizationPlan:
    chosen = digits.inputs[list(digits.training[:64])]
    return plans_of(model, [chosen[start : start + 16] for start in range(0, 64, 16)])[Precision.INT8]


@pytest.fixture(scope="module")
def samples(digits: Digits) -> np.ndarray:
    return digits.inputs[list(digits.held_out[:SAMPLES])]


@pytest.fixture(scope="module")
def answers(
    model: LoadedModel, plan: QuantizationPlan, samples: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, np.ndarray]:
    """Logits by runtime; all are built from one and the same plan."""
    logits = {}
    for name in RUNNING:
        runtime = get_runtime(name)
        session = runtime.open(runtime.convert(Variant(model, plan), tmp_path_factory.mktemp(name)))
        logits[name] = np.concatenate([session.run([samples[index : index + 1]])[0] for index in range(SAMPLES)])
    return logits


def test_affine_runtimes_give_the_same_numbers(
    answers: dict[str, np.ndarray], model: LoadedModel, plan: QuantizationPlan
) -> None:
    step = plan.activations[model.output.name].scale
    difference = np.abs(answers["onnxruntime"] - answers["litert"]) / step
    # Their kernels round a value between two integers each in its own way, once in some ten thousand values.
    assert difference.max() <= 2.001
    assert np.mean(difference < 0.5) >= 0.95


def test_all_runtimes_give_the_same_answers(answers: dict[str, np.ndarray]) -> None:
    classes = [logits.argmax(1) for logits in answers.values()]
    assert len(classes) == len(RUNNING)
    # ncnn has no zero point, so its numbers are others: one image in a hundred may fall on the other side.
    for other in classes[1:]:
        assert np.mean(classes[0] == other) >= 0.99


@pytest.mark.parametrize("name", RUNNING)
def test_every_runtime_is_nearer_to_the_simulation_than_that_is_to_float(
    name: str, answers: dict[str, np.ndarray], model: LoadedModel, plan: QuantizationPlan, samples: np.ndarray
) -> None:
    scheme = get_runtime(name).info.scheme
    simulated = simulate(model, plan, scheme, [samples])
    floats = simulate(model, float_plan(model, Precision.FLOAT32), scheme, [samples])
    # A quarter was seen in ncnn, which on x86 knows the reciprocals of depthwise scales to 12 bits only; the others
    # stay below a tenth.
    assert np.abs(answers[name] - simulated).mean() <= 0.5 * np.abs(simulated - floats).mean()


def test_ncnn_has_the_plans_numbers(artifacts_of: dict[str, Artifacts]) -> None:
    """The affine runtimes' files are looked into beside them; ncnn multiplies where the plan divides."""
    model, plan = case_of(Mixed).model, case_of(Mixed).plans[Precision.INT8]
    nodes = {node.name: node for node in model.graph.graph.nodes}
    network = read_network(*artifacts_of["ncnn"].get(Mixed, Precision.INT8).files)
    layers = [layer for layer in network if layer.kind.startswith(("Convolution", "InnerProduct"))]
    for stored, (name, layer) in zip(layers, plan.layers.items(), strict=True):
        weight, bias, weight_factors, input_factor, *_ = (blob.values for blob in stored.blobs)
        scale = plan.activations[input_of(nodes[name]).name].symmetric_scale
        assert np.array_equal(weight, integer_weight(get_tensor(model.graph, layer.weight), layer).numpy().ravel())
        assert np.array_equal(weight_factors, 1 / np.array(layer.weight_scales, np.float32))
        assert np.array_equal(input_factor, 1 / np.array([scale], np.float32))
        assert np.array_equal(bias, np.array(layer.bias[Scheme.SYMMETRIC], np.float32))


def test_int8_inside_ncnn_has_the_next_layers_scale(artifacts_of: dict[str, Artifacts]) -> None:
    network = read_network(*artifacts_of["ncnn"].get(Mixed, Precision.INT8).files)
    readers = {name: layer for layer in network for name in layer.inputs}
    connected = [layer for layer in network if layer.kind.startswith("Convolution") and layer.integer(8) > 100]
    assert connected, "the depthwise convolution hands INT8 to the next one"
    for layer in connected:
        reader = readers[layer.outputs[0]]
        while reader.kind == "Split":
            reader = readers[reader.outputs[0]]
        assert layer.blobs[-1].values == reader.blobs[3].values
