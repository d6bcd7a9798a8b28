"""What is special to MNN; the contract suite covers what every runtime promises."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from pocketfit.compress.quantize.arithmetic import input_of, written_tensor
from pocketfit.compress.quantize.lower import integer_weight, plan_bias
from pocketfit.compress.quantize.plan import float_plan
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.errors import ConversionError
from pocketfit.graph.attributes import get_tensor
from pocketfit.models.canonical import canonicalise
from pocketfit.rows import together
from pocketfit.runtimes import get_runtime
from pocketfit.runtimes.mnn_format import CONVOLUTION, DESCRIPTION, OP, TENSOR_NUMBERS, WEIGHTS, Record
from pocketfit.runtimes.mnn_weights import decoded_integers
from pocketfit.testing import Artifacts, TinyModel, case_of
from pocketfit.testing.models import Mixed
from pocketfit.types import Artifact, Precision, Runtime, Scheme, Traceable, Variant

pytestmark = pytest.mark.slow

CAST, CONVOLUTIONS, POOLING = 9, (12, 13), 47


class Pools(TinyModel):
    """Poolings of values on both sides of zero, and a resizing."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 16, 3, padding=1)
        self.head = nn.Linear(16, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.max_pool2d(self.first(x), 3, 2, 1)
        x = functional.interpolate(self.second(x), scale_factor=2.0, mode="bilinear")
        return self.head(x.mean((2, 3)))


class Groups(TinyModel):
    """Groups of several channels, and two results for each channel: MNN makes several layers of each."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2)
        self.groups = nn.Conv2d(8, 16, 3, groups=2)
        self.multiplied = nn.Conv2d(16, 32, 3, groups=16)
        self.head = nn.Linear(32, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.multiplied(torch.relu(self.groups(torch.relu(self.stem(x)))))
        return self.head(x.mean((2, 3)))


class Twins(TinyModel):
    """Two convolutions with equal weights, whose inputs have other scales."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 3, 3, padding=1)
        self.second = nn.Conv2d(3, 3, 3, padding=1)
        self.second.weight = nn.Parameter(self.first.weight.detach().clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x))
        return self.second(x + x).flatten(1)


class Recurrent(TinyModel):
    """One weight in five layers, as an unrolled recurrent layer has it; MNN makes convolutions of up to four."""

    input_shape = (16,)

    def __init__(self) -> None:
        super().__init__()
        self.step = nn.Linear(16, 16, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(4):
            x = torch.tanh(self.step(x))
        return self.step(x)


class Fourier(TinyModel):
    """ONNX has the op, MNN has not."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.view_as_real(torch.fft.fft(x)).flatten(1)


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return get_runtime("mnn")


@pytest.fixture(scope="module")
def artifacts(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    return Artifacts(runtime, tmp_path_factory.mktemp("mnn"))


def network(artifact: Artifact) -> Record:
    return Record.root(artifact.files[0].read_bytes())


def convolutions(artifact: Artifact) -> Iterator[tuple[Record, Record, Record]]:
    """Each layer's op, its parameters and its weights."""
    for op in network(artifact).records("ops", OP):
        parameters = op.record("main", CONVOLUTION) if op.number("kind") in CONVOLUTIONS else None
        weights = None if parameters is None else parameters.record("quantized", WEIGHTS)
        if parameters is not None and weights is not None:
            yield op, parameters, weights


def described(artifact: Artifact) -> dict[int, tuple[float, int]]:
    """Scale and zero point of INT8 tensors, by their index."""
    found = {}
    for record in network(artifact).records("described", DESCRIPTION):
        numbers = record.record("numbers", TENSOR_NUMBERS)
        assert numbers is not None
        found[record.number("index")] = (numbers.number("scale"), int(numbers.number("zero_point")))
    return found


def answers(runtime: Runtime, artifact: Artifact, samples: np.ndarray) -> np.ndarray:
    session = runtime.open(artifact)
    return np.concatenate([together(session.run([sample[None]])) for sample in samples])


def steps_off(runtime: Runtime, artifacts: Artifacts, kind: type[TinyModel]) -> np.ndarray:
    """By how many steps of the answer's scale each INT8 answer differs from the simulation."""
    case = case_of(kind)
    got = answers(runtime, artifacts.get(kind, Precision.INT8), case.samples)
    return np.abs(got - case.expected(Precision.INT8, Scheme.AFFINE)) / case.output_steps(Scheme.AFFINE)


def test_int8_file_has_the_plans_numbers(artifacts: Artifacts) -> None:
    artifact, case = artifacts.get(Mixed, Precision.INT8), case_of(Mixed)
    graph, plan = case.model.graph, case.plans[Precision.INT8]
    nodes = {node.name: node for node in graph.graph.nodes}
    tensors = described(artifact)
    layers = zip(convolutions(artifact), plan.layers.items(), strict=True)
    for (op, parameters, weights), (name, layer) in layers:
        integers = integer_weight(get_tensor(graph, layer.weight), layer).numpy()
        stored = decoded_integers(weights.numbers("buffer", np.uint8).tobytes(), weights.number("bits"))
        assert np.array_equal(stored, integers.reshape(len(integers), -1))
        assert np.array_equal(weights.numbers("scales", np.float32), np.float32(layer.weight_scales))
        written = written_tensor(nodes[name], plan)
        assert written is not None
        for field, numbers in (("inputs", plan.activations[input_of(nodes[name]).name]), ("outputs", written[1])):
            (tensor,) = op.numbers(field, np.int32).tolist()
            assert tensors[tensor] == (np.float32(numbers.scale), numbers.zero_point - 128)
        bias = plan_bias(graph, nodes[name], layer, Scheme.AFFINE)
        assert bias is not None
        steps = np.float32(plan.activations[input_of(nodes[name]).name].scale) * np.float32(layer.weight_scales)
        if op.number("kind") != 13:  # a depthwise layer's bias has the rest of the zero point in it
            assert np.array_equal(
                np.trunc(parameters.numbers("bias", np.float32) / steps), np.round(bias.numpy() / steps)
            )


def test_poolings_and_resizings_stay_float(runtime: Runtime, artifacts: Artifacts) -> None:
    """MNN's INT8 kernels for them give wrong values on x86: some were 130 steps off."""
    assert steps_off(runtime, artifacts, Pools).max() <= 1.001  # a tie that is rounded to the other side
    net = network(artifacts.get(Pools, Precision.INT8))
    ops = list(net.records("ops", OP))
    makers = {tensor: op.number("kind") for op in ops for tensor in op.numbers("outputs", np.int32).tolist()}
    pools = [op for op in ops if op.number("kind") == POOLING]
    assert pools and all(makers[op.numbers("inputs", np.int32)[0]] == CAST for op in pools)


def test_groups_are_on_integers(runtime: Runtime, artifacts: Artifacts) -> None:
    used = runtime.open(artifacts.get(Groups, Precision.INT8)).kernels()
    assert used.int8 == used.total > 3
    assert steps_off(runtime, artifacts, Groups).max() <= 2.001  # ties in each of three layers


def test_equal_weights_keep_the_numbers_of_their_layers(runtime: Runtime, artifacts: Artifacts) -> None:
    artifact = artifacts.get(Twins, Precision.INT8)
    scales = [weights.number("input_scale") for _, _, weights in convolutions(artifact)]
    plan = case_of(Twins).plans[Precision.INT8]
    assert scales == [np.float32(plan.activations[name].scale) for name in ("x", "add")]
    assert steps_off(runtime, artifacts, Twins).max() <= 2.001


def test_a_shared_weight_stays_float_and_is_named(runtime: Runtime, artifacts: Artifacts) -> None:
    artifact = artifacts.get(Recurrent, Precision.INT8)
    (note,) = artifact.notes
    assert note.startswith("stored in float32") and "linear_1" in note
    case = case_of(Recurrent)
    floats = simulate(case.model, case.plans[Precision.FLOAT32], Scheme.AFFINE, [case.samples.copy()])
    simulated = case.expected(Precision.INT8, Scheme.AFFINE)
    # No further from float than the plan itself: what is not quantized is exact.
    error = np.abs(answers(runtime, artifact, case.samples) - floats).mean()
    assert error <= 1.1 * np.abs(simulated - floats).mean()
    assert runtime.open(artifact).kernels().int8 == 0


@pytest.mark.parametrize("plan", ["weight-only", "4-bit weight-only", "4-bit weights"])
def test_weights_are_as_narrow_as_mnn_computes_them(artifacts: Artifacts, plan: str) -> None:
    """Four bits where it restores them, eight where it multiplies integers."""
    artifact = artifacts.get(Mixed, plan)
    planned = [layer.weight_bits for layer in case_of(Mixed).mixed[plan].layers.values()]
    stored = [weights.number("bits") for _, _, weights in convolutions(artifact)]
    assert stored == ([8] * len(planned) if plan == "4-bit weights" else planned)
    assert bool(artifact.notes) == (stored != planned)


def test_half_weights_come_through_the_converter(runtime: Runtime, tmp_path: Path) -> None:
    """Also those that half makes minus zero, which the converter would by default make zero."""
    case = case_of(Mixed)
    weight = get_tensor(case.model.graph, case.plans[Precision.FLOAT16].layers["linear"].weight)
    kept = weight.clone()
    try:
        weight[0, 0] = -1e-9
        artifact = runtime.convert(case.variant(Precision.FLOAT16), tmp_path)
    finally:
        weight.copy_(kept)
    assert artifact.notes == ()
    assert {weights.number("type") for _, _, weights in convolutions(artifact)} == {3}
    assert len(list(convolutions(artifact))) == len(case.plans[Precision.INT8].layers)


def test_tensors_are_shown_restored(runtime: Runtime, artifacts: Artifacts) -> None:
    assert isinstance(runtime, Traceable)
    case = case_of(Mixed)
    artifact = artifacts.get(Mixed, Precision.INT8)
    shown = list(runtime.tensors(artifact, case.samples[:1]))
    assert shown[0][0] == artifact.input.name
    scale = case.plans[Precision.INT8].activations["hardtanh"].scale
    steps = dict(shown)["conv2d"] / scale
    assert np.abs(steps - np.round(steps)).max() < 1e-3  # restored INT8 lies on its grid, but for float32's last bits
    assert np.array_equal(shown[-1][1].ravel(), runtime.open(artifact).run([case.samples[:1]])[0].ravel())


def test_an_op_that_only_mnn_lacks_is_named(runtime: Runtime, tmp_path: Path) -> None:
    model = canonicalise(Fourier(), Fourier.input_shape, name="fourier")
    with pytest.raises(ConversionError, match="ONNX::DFT"):
        runtime.convert(Variant(model, float_plan(model, Precision.FLOAT32)), tmp_path)


def test_the_module_that_reports_home_is_never_imported(artifacts: Artifacts) -> None:
    path = artifacts.get(Mixed, Precision.FLOAT32).files[0]
    code = f"import sys, MNN; MNN.Interpreter({str(path)!r}); print([n for n in sys.modules if 'MNN.tools' in n])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    # MNN prints lines of its own, before or after.
    assert "[]" in printed.splitlines()
    assert not [name for name in sys.modules if name.startswith("MNN.tools")]
