"""What is special to ExecuTorch; the contract suite covers what every runtime promises."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pocketfit.compress.quantize.lower import input_of, integer_bias, integer_weight, plan_bias
from pocketfit.compress.quantize.plan import float_plan
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.errors import ConversionError
from pocketfit.graph.attributes import get_tensor
from pocketfit.models.canonical import canonicalise
from pocketfit.rows import apart, together
from pocketfit.runtimes import get_runtime
from pocketfit.runtimes.executorch_format import FLOAT32, HALF, DelegateGraph, Program
from pocketfit.runtimes.executorch_half import store_in_half
from pocketfit.testing import MODELS, Artifacts, TinyModel, case_of
from pocketfit.testing.models import Grouped, Mixed
from pocketfit.types import Artifact, Precision, Runtime, Scheme, Variant

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return get_runtime("executorch")


@pytest.fixture(scope="module")
def artifacts(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    return Artifacts(runtime, tmp_path_factory.mktemp("executorch"))


@pytest.fixture(scope="module")
def int8(artifacts: Artifacts) -> Program:
    return Program(artifacts.get(Mixed, Precision.INT8).files[0])


def only_graph(program: Program) -> DelegateGraph:
    (graph,) = program.graphs()
    return graph


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
def test_xnnpack_takes_the_whole_int8_graph(kind: type[TinyModel], artifacts: Artifacts) -> None:
    program = Program(artifacts.get(kind, Precision.INT8).files[0])
    assert program.delegates() == ["XnnpackBackend"]
    # A hard sigmoid comes as a sum and a quotient, whose constant numbers are turned into floats outside.
    assert set(program.kernel_calls()) <= {"dim_order_ops::_to_dim_order_copy.out"}


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
def test_int8_gives_the_very_integers_of_the_simulation(
    kind: type[TinyModel], runtime: Runtime, artifacts: Artifacts
) -> None:
    case = case_of(kind)
    session = runtime.open(artifacts.get(kind, Precision.INT8))
    got = np.concatenate([together(session.run(apart(sample[None], case.model.inputs))) for sample in case.samples])
    steps = (got - case.expected(Precision.INT8, Scheme.AFFINE)) / case.output_steps(Scheme.AFFINE)
    # XNNPACK's sums of two tensors are in fixed point; a half that it rounds elsewhere moves the answer by one.
    assert np.abs(steps).max() <= 1.001
    assert np.mean(np.abs(steps) < 0.5) >= 0.95


def test_layers_have_the_plans_numbers(int8: Program) -> None:
    graph, plan = case_of(Mixed).model.graph, case_of(Mixed).plans[Precision.INT8]
    nodes = {node.name: node for node in graph.graph.nodes}
    stored = set(int8.named().values())
    for name, layer in plan.layers.items():
        weight = integer_weight(get_tensor(graph, layer.weight), layer)
        bias = plan_bias(graph, nodes[name], layer, Scheme.AFFINE)
        assert bias is not None
        scale = plan.activations[input_of(nodes[name]).name].scale
        assert channels_last(weight.numpy()).tobytes() in stored
        assert integer_bias(bias, layer, scale)[0].numpy().tobytes() in stored
        assert np.array(layer.weight_scales, np.float32).tobytes() in stored


def channels_last(weight: np.ndarray) -> np.ndarray:
    """As XNNPACK lays weights out; those of depthwise convolutions are 1×H×W×channels."""
    if weight.ndim != 4:
        return weight
    return weight.transpose(1, 2, 3, 0) if weight.shape[1] == 1 else weight.transpose(0, 2, 3, 1)


def test_float16_stores_every_weight_in_half(artifacts: Artifacts) -> None:
    program = Program(artifacts.get(Mixed, Precision.FLOAT16).files[0])
    assert [layer.datatype for layer in only_graph(program).layers()] == [HALF] * 7


def test_half_layers_are_in_half_and_float_layers_are_not(artifacts: Artifacts) -> None:
    types = {
        name: [layer.datatype for layer in only_graph(Program(artifacts.get(Mixed, name).files[0])).layers()]
        for name in ("half layers", "float layers")
    }
    assert types["half layers"].count(HALF) == types["float layers"].count(FLOAT32) == 3
    assert FLOAT32 not in types["half layers"]


def test_weights_that_half_cannot_hold_are_left_alone(artifacts: Artifacts) -> None:
    content = artifacts.get(Mixed, Precision.FLOAT32).files[0].read_bytes()
    assert store_in_half(content) == content


def test_layers_that_write_float_are_named(artifacts: Artifacts) -> None:
    (note,) = artifacts.get(Mixed, "some 16-bit tensors").notes
    assert note.startswith("stored and computed in float32")
    assert artifacts.get(Mixed, Precision.INT8).notes == ()


def test_sessions_with_different_threads_live_side_by_side(runtime: Runtime, artifacts: Artifacts) -> None:
    """There is one thread pool in a process, and a loaded program must not see it replaced."""
    samples = case_of(Grouped).samples[:2]
    artifact = artifacts.get(Grouped, Precision.INT8)
    one, two = runtime.open(artifact, threads=1), runtime.open(artifact, threads=2)
    first = one.run([samples[:1]])[0]
    for _ in range(3):
        assert np.array_equal(two.run([samples[:1]])[0], first)
        assert np.array_equal(one.run([samples[:1]])[0], first)


def test_nothing_is_printed(runtime: Runtime, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    case = case_of(Grouped)
    artifact = runtime.convert(case.variant(Precision.FLOAT32), tmp_path)
    runtime.open(artifact, threads=2).run([case.samples[:1]])
    assert capfd.readouterr() == ("", "")


def test_nothing_of_this_machine_is_in_the_file(artifacts: Artifacts) -> None:
    for precision in Precision:
        content = artifacts.get(Mixed, precision).files[0].read_bytes()
        for telling in (str(Path(__file__).parents[2]), str(Path.home()), sys.prefix, str(Path(torch.__file__).parent)):
            assert telling.encode() not in content


class Clamped(TinyModel):
    """A ReLU6 written as a clamp, and a gate concatenated with what it gates: their scales differ."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.head = nn.Conv2d(16, 6, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).clamp(0, 6)
        return self.head(torch.cat([torch.sigmoid(x), x], 1)).flatten(1)


class Attention(TinyModel):
    """What transformers have: several rows, layer norm, products of two results."""

    input_shape = (6, 32)

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.project, self.classifier = nn.LayerNorm(32), nn.Linear(32, 96), nn.Linear(32, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = self.project(self.norm(x)).chunk(3, -1)
        weights = torch.softmax(query @ key.transpose(1, 2), -1)
        return self.classifier(nn.functional.gelu(weights @ value).mean(1))


@pytest.mark.parametrize(("kind", "layers", "total"), [(Clamped, 2, 2), (Attention, 2, 4)])
def test_int8_of_what_other_networks_have(
    kind: type[TinyModel], layers: int, total: int, runtime: Runtime, artifacts: Artifacts
) -> None:
    case = case_of(kind)
    session = runtime.open(artifacts.get(kind, Precision.INT8))
    got = np.concatenate([session.run([sample[None]])[0] for sample in case.samples])
    expected = simulate(case.model, case.plans[Precision.INT8], Scheme.AFFINE, [case.samples.copy()])
    assert np.abs(got - expected).max() <= 1.001 * case.output_steps(Scheme.AFFINE).max()
    assert (session.kernels().int8, session.kernels().total) == (layers, total)


class Op(nn.Module):
    def __init__(self, op: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.op = op

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.op(x)


@pytest.mark.parametrize(
    ("op", "name"),
    [(torch.special.bessel_j0, "special_bessel_j0"), (lambda x: x.kthvalue(2).values, "kthvalue")],
    ids=["bessel_j0", "kthvalue"],
)
def test_ops_without_a_kernel_are_named(
    op: Callable[[torch.Tensor], torch.Tensor], name: str, runtime: Runtime, tmp_path: Path
) -> None:
    model = canonicalise(Op(op), (3, 4, 4), name="op")
    with pytest.raises(ConversionError, match=rf"no kernel for aten\W+{name}"):
        runtime.convert(Variant(model, float_plan(model, Precision.FLOAT32)), tmp_path)


def test_a_damaged_file_is_told(runtime: Runtime, artifacts: Artifacts, tmp_path: Path) -> None:
    artifact = artifacts.get(Grouped, Precision.INT8)
    path = tmp_path / "model.pte"
    path.write_bytes(artifact.files[0].read_bytes()[:1000])
    with pytest.raises(RuntimeError, match="File size is too small"):
        runtime.open(Artifact("executorch", Precision.INT8, Scheme.AFFINE, (path,), artifact.input, artifact.output))
