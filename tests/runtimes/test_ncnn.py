"""From an exported graph and a plan to ncnn files, and what they answer, against the plan run in torch."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from pocketfit.compress.quantize.express import expressible
from pocketfit.errors import ConversionError, RuntimeMissing
from pocketfit.runtimes.ncnn import Ncnn
from pocketfit.runtimes.ncnn_format import Layer, read_network
from pocketfit.types import (
    ActivationPlan,
    Artifact,
    LayerPlan,
    LoadedModel,
    Precision,
    QuantizationPlan,
    Scheme,
    TensorSpec,
    Variant,
)

LAYER_OPS = (torch.ops.aten.conv2d.default, torch.ops.aten.linear.default, torch.ops.aten.conv1d.default)
SAMPLES = np.random.default_rng(0).standard_normal((8, 3, 32, 32)).astype(np.float32)

# Float32 sums in another order, and Winograd's convolutions.
FLOAT_TOLERANCE = 1e-4


class Cnn(nn.Module):
    """Stride, depthwise, pointwise, a residual, a concatenation, both poolings, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.pointwise = nn.Conv2d(16, 16, 1, bias=False)
        self.branch = nn.Conv2d(16, 24, 3, padding=1, groups=4)
        self.classifier = nn.Linear(40, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu6(self.stem(x))
        x = x + self.pointwise(functional.relu6(self.depthwise(x)))
        x = torch.cat([x, functional.relu(self.branch(x))], 1)
        x = functional.adaptive_avg_pool2d(functional.max_pool2d(x, 2), 1)
        return self.classifier(x.flatten(1))


class Twins(nn.Module):
    """Two convolutions with equal weights and inputs of different size."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.second = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.second.weight = nn.Parameter(self.first.weight.detach().clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.relu(self.first(x)) * 20)


class Mixed(nn.Module):
    """A transposed and a one-dimensional convolution beside ordinary ones."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=4)
        self.up = nn.ConvTranspose2d(8, 8, 2, stride=2)
        self.line = nn.Conv1d(8, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.line(self.up(self.stem(x)).flatten(2))


class Elementwise(nn.Module):
    """A convolution and any function."""

    def __init__(self, function: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, 3)
        self.function = function

    def forward(self, x: torch.Tensor) -> object:
        return self.function(self.convolution(x))


def exported(module: nn.Module, shape: Sequence[int] = (1, 3, 32, 32), *, dynamic: bool = True) -> LoadedModel:
    """A canonical model; these modules have no batch norm to fold."""
    example = torch.zeros(2 if dynamic else 1, *shape[1:])
    batch = ({0: torch.export.Dim("batch", min=1, max=64)},) if dynamic else None
    graph = torch.export.export(module.eval(), (example,), dynamic_shapes=batch).module(check_guards=False)
    assert isinstance(graph, torch.fx.GraphModule)
    (output, *_) = torch.utils._pytree.tree_leaves(graph(torch.zeros(*shape)))
    return LoadedModel(
        name="model",
        source="test",
        graph=graph,
        input=TensorSpec("x", tuple(shape)),
        output=TensorSpec("y", tuple(output.shape)),
        dynamic_batch=dynamic,
        fingerprint="",
    )


def seeded(kind: Callable[[], nn.Module], **options: bool) -> LoadedModel:
    torch.manual_seed(0)
    return exported(kind(), **options)


def layer_nodes(graph: torch.fx.GraphModule) -> list[torch.fx.Node]:
    return [node for node in graph.graph.nodes if node.target in LAYER_OPS]


class Recorder(torch.fx.Interpreter):
    """Keeps the largest absolute value of every tensor."""

    def __init__(self, graph: torch.fx.GraphModule) -> None:
        super().__init__(graph)
        self.largest: dict[str, float] = {}

    def run_node(self, n: torch.fx.Node) -> object:
        value = super().run_node(n)
        if isinstance(value, torch.Tensor):
            self.largest[n.name] = float(value.detach().abs().max())
        return value


def float_plan(model: LoadedModel, precision: Precision) -> QuantizationPlan:
    layers = {node.name: layer_plan(model, node) for node in layer_nodes(model.graph)}
    return QuantizationPlan(precision, model.fingerprint, layers=layers if precision is Precision.FLOAT16 else {})


def int8_plan(model: LoadedModel, samples: np.ndarray = SAMPLES) -> QuantizationPlan:
    """Scales from the largest absolute values, and biases that differ from the model's own."""
    recorder = Recorder(model.graph)
    recorder.run(torch.from_numpy(samples if model.dynamic_batch else samples[:1]))
    activations = {
        name: ActivationPlan(-largest, largest, largest / 127.5, 128, float(np.float32(largest / 127)))
        for name, largest in recorder.largest.items()
        if largest > 0
    }
    layers = {node.name: layer_plan(model, node) for node in layer_nodes(model.graph)}
    return QuantizationPlan(Precision.INT8, model.fingerprint, activations=activations, layers=layers)


def layer_plan(model: LoadedModel, node: torch.fx.Node) -> LayerPlan:
    weight = node.args[1]
    assert isinstance(weight, torch.fx.Node)
    path = str(weight.target)
    values = model.graph.get_parameter(path).detach()
    scales = tuple(float(scale) for scale in values.abs().flatten(1).amax(1) / 127)
    bias = {Scheme.SYMMETRIC: tuple(0.01 * index for index in range(len(values)))}
    return LayerPlan(op=str(node.target).split(".")[1], source="", weight=path, axis=0, weight_scales=scales, bias=bias)


class Simulation(torch.fx.Interpreter):
    """The plan in torch: INT8 weights and inputs of planned layers, everything else in float."""

    def __init__(self, model: LoadedModel, plan: QuantizationPlan) -> None:
        super().__init__(model.graph)
        self.plan = plan

    def run_node(self, n: torch.fx.Node) -> object:
        layer = self.plan.layers.get(n.name)
        if layer is None:
            return super().run_node(n)
        values, weight, *rest = self.fetch_args_kwargs_from_env(n)[0]
        scale = self.plan.activations[str(n.args[0])].symmetric_scale
        scales = torch.tensor(layer.weight_scales).reshape(-1, *[1] * (weight.dim() - 1))
        bias = torch.tensor(layer.bias[Scheme.SYMMETRIC])
        return n.target(fake(values, torch.tensor(scale)), fake(weight, scales), bias, *rest[1:])  # type: ignore[operator]


def fake(values: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return torch.clamp(torch.round(values / scale), -127, 127) * scale


def simulate(model: LoadedModel, plan: QuantizationPlan, samples: np.ndarray = SAMPLES) -> np.ndarray:
    with torch.no_grad():
        return Simulation(model, plan).run(torch.from_numpy(samples)).numpy()


def in_torch(model: LoadedModel, samples: np.ndarray = SAMPLES) -> np.ndarray:
    with torch.no_grad():
        return model.graph(torch.from_numpy(samples)).numpy()


def answers(artifact: Artifact, samples: np.ndarray = SAMPLES, *, threads: int = 1) -> np.ndarray:
    session = Ncnn().open(artifact, threads=threads)
    return np.concatenate([session.run([sample[None]])[0] for sample in samples])


def sqnr(expected: np.ndarray, got: np.ndarray) -> float:
    return 10 * math.log10(np.square(expected).sum() / np.square(expected - got).sum())


def layers_of(artifact: Artifact, *kinds: str) -> list[Layer]:
    return [layer for layer in read_network(*artifact.files) if layer.kind in kinds]


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return seeded(Cnn)


@pytest.fixture(scope="module")
def plan(model: LoadedModel) -> QuantizationPlan:
    return int8_plan(model)


@pytest.fixture(scope="module")
def float32(model: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return Ncnn().convert(Variant(model, float_plan(model, Precision.FLOAT32)), tmp_path_factory.mktemp("float32"))


@pytest.fixture(scope="module")
def float16(model: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return Ncnn().convert(Variant(model, float_plan(model, Precision.FLOAT16)), tmp_path_factory.mktemp("float16"))


@pytest.fixture(scope="module")
def int8(model: LoadedModel, plan: QuantizationPlan, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return Ncnn().convert(Variant(model, plan), tmp_path_factory.mktemp("int8"))


def test_float32_answers_as_torch_does(model: LoadedModel, float32: Artifact) -> None:
    np.testing.assert_allclose(answers(float32), in_torch(model), rtol=0, atol=FLOAT_TOLERANCE)


def test_float16_answers_as_torch_does_with_halved_weights(model: LoadedModel, float16: Artifact) -> None:
    halved = seeded(Cnn)
    with torch.no_grad():
        for node in layer_nodes(halved.graph):
            weight = halved.graph.get_parameter(str(node.args[1].target))  # type: ignore[union-attr]
            weight.copy_(weight.half().float())

    got = answers(float16)

    np.testing.assert_allclose(got, in_torch(halved), rtol=0, atol=FLOAT_TOLERANCE)
    assert sqnr(in_torch(halved), got) > sqnr(in_torch(model), got) + 20  # it is the halved weights that answer


def test_int8_answers_as_the_plan_does(model: LoadedModel, plan: QuantizationPlan, int8: Artifact) -> None:
    """ncnn rounds halves away from zero, torch to even, and a depthwise layer on x86 is off by 2⁻¹²: now and then a
    value falls on the other side of a rounding, and its neighbours in the next layer move by a fraction of a step."""
    expected = simulate(model, plan)
    step = plan.activations["linear"].symmetric_scale

    got = answers(int8)

    assert np.abs(got - expected).max() < step
    assert np.abs(got - expected).mean() < 0.1 * step
    assert sqnr(expected, got) > sqnr(in_torch(model), expected) + 10


def test_every_layer_of_the_plan_runs_on_int8(float32: Artifact, int8: Artifact) -> None:
    assert Ncnn().open(float32).kernels().int8 == 0
    used = Ncnn().open(int8).kernels()
    assert used.int8 == used.total == 5 + 3  # the grouped convolution is four convolutions
    assert int8.notes == ()


def test_weights_are_the_integers_of_the_plan(model: LoadedModel, plan: QuantizationPlan, int8: Artifact) -> None:
    (classifier,) = layers_of(int8, "InnerProduct")
    weight = model.graph.get_parameter("classifier.weight").detach()
    scales = torch.tensor(plan.layers["linear"].weight_scales)
    expected = torch.clamp(torch.round(weight / scales[:, None]), -127, 127)

    np.testing.assert_array_equal(classifier.blobs[0].values, expected.numpy().astype(np.int8).ravel())


def test_biases_are_the_plans(plan: QuantizationPlan, int8: Artifact) -> None:
    """Also that of the pointwise convolution, which has none of its own."""
    pointwise = next(layer for layer in layers_of(int8, "Convolution") if layer.integer(6) == 256)

    expected = np.array(plan.layers["conv2d_2"].bias[Scheme.SYMMETRIC], np.float32)
    np.testing.assert_array_equal(pointwise.blobs[1].values, expected)


def test_the_model_is_left_as_it_was(model: LoadedModel, int8: Artifact) -> None:
    untouched = seeded(Cnn).graph

    assert [node.name for node in model.graph.graph.nodes] == [node.name for node in untouched.graph.nodes]
    for (name, ours), (other, theirs) in zip(
        model.graph.state_dict().items(), untouched.state_dict().items(), strict=True
    ):
        assert name == other
        assert torch.equal(ours, theirs)


def test_narrower_weights_make_smaller_files(float32: Artifact, float16: Artifact, int8: Artifact) -> None:
    sizes = [artifact.files[1].stat().st_size for artifact in (float32, float16, int8)]
    weights = 4 * (16 * 27 + 16 * 9 + 16 * 16 + 24 * 36 + 400)

    assert sizes[0] - sizes[1] == weights // 2
    # Scales are paid for each channel: on a network this small they cost as much as a fifth of the weights.
    assert sizes[2] < sizes[0] - weights * 3 // 4 + weights // 5


def test_two_conversions_give_the_same_bytes(
    model: LoadedModel, plan: QuantizationPlan, int8: Artifact, tmp_path: Path
) -> None:
    again = Ncnn().convert(Variant(model, plan), tmp_path)

    assert [file.read_bytes() for file in again.files] == [file.read_bytes() for file in int8.files]


def test_threads_change_nothing(int8: Artifact, float32: Artifact) -> None:
    few = SAMPLES[:2]
    np.testing.assert_array_equal(answers(int8, few, threads=2), answers(int8, few))
    np.testing.assert_allclose(answers(float32, few, threads=2), answers(float32, few), rtol=0, atol=FLOAT_TOLERANCE)


def test_outputs_are_independent_of_each_other_and_of_the_input(float32: Artifact) -> None:
    session = Ncnn().open(float32)
    sample = SAMPLES[:1].copy()
    sample.flags.writeable = False

    (first,) = session.run([sample])
    kept = first.copy()
    session.run([SAMPLES[1:2]])

    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(sample, SAMPLES[:1])
    assert (first.dtype, first.shape) == (np.float32, float32.output.shape)


def test_a_graph_of_fixed_batch_converts_as_well(plan: QuantizationPlan, int8: Artifact, tmp_path: Path) -> None:
    fixed = seeded(Cnn, dynamic=False)

    artifact = Ncnn().convert(Variant(fixed, plan), tmp_path)

    np.testing.assert_array_equal(answers(artifact), answers(int8))


def test_a_layer_outside_the_plan_stays_float_and_is_named(
    model: LoadedModel, plan: QuantizationPlan, tmp_path: Path
) -> None:
    layers = {name: layer for name, layer in plan.layers.items() if name != "conv2d"}
    partial = replace(plan, layers=layers)

    artifact = Ncnn().convert(Variant(model, partial), tmp_path)

    assert artifact.notes == ("float32 because the plan leaves them so: conv2d",)
    stem = next(layer for layer in layers_of(artifact, "Convolution") if layer.integer(6) == 432)
    assert stem.blobs[0].values.dtype == np.float32
    expected = simulate(model, partial)
    assert np.abs(answers(artifact) - expected).max() < plan.activations["linear"].symmetric_scale


def test_a_plan_that_ncnn_cannot_express_is_refused(model: LoadedModel, plan: QuantizationPlan, tmp_path: Path) -> None:
    activations = {name: numbers for name, numbers in plan.activations.items() if name != "x"}

    with pytest.raises(ConversionError, match=r"no integer weights without INT8 activations.*1 layer \(conv2d\)"):
        Ncnn().convert(Variant(model, replace(plan, activations=activations)), tmp_path)


def test_a_half_layer_of_an_int8_plan_has_half_weights_and_the_plans_bias(
    model: LoadedModel, plan: QuantizationPlan, tmp_path: Path
) -> None:
    half = replace(plan.layers["conv2d"], weight_scales=())
    artifact = Ncnn().convert(Variant(model, replace(plan, layers={**plan.layers, "conv2d": half})), tmp_path)

    stem = next(layer for layer in layers_of(artifact, "Convolution") if layer.integer(6) == 432)
    weight, bias = (blob.values for blob in stem.blobs)
    assert weight.dtype == np.float16
    np.testing.assert_array_equal(bias, np.array(half.bias[Scheme.SYMMETRIC], np.float32))
    assert artifact.notes == ()


def test_four_bits_are_stored_in_eight_and_named(model: LoadedModel, plan: QuantizationPlan, tmp_path: Path) -> None:
    narrow = replace(plan.layers["conv2d"], weight_bits=4)
    artifact = Ncnn().convert(Variant(model, replace(plan, layers={**plan.layers, "conv2d": narrow})), tmp_path)

    stem = next(layer for layer in layers_of(artifact, "Convolution") if layer.integer(6) == 432)
    assert stem.blobs[0].values.dtype == np.int8
    assert np.abs(stem.blobs[0].values).max() == 7
    assert artifact.notes == ("4-bit weights take 8 bits in the file: conv2d",)


def test_a_one_dimensional_convolution_has_no_int8(tmp_path: Path) -> None:
    model = seeded(Mixed)
    plan, said = expressible(int8_plan(model), model, Ncnn.info)

    artifact = Ncnn().convert(Variant(model, plan), tmp_path)

    assert said == ("ncnn has no INT8 conv1d: weights in half for 1 layer (conv1d).",)
    (line,) = layers_of(artifact, "Convolution1D")
    assert line.blobs[0].values.dtype == np.float16
    assert Ncnn().open(artifact).kernels().int8 == 1


def test_equal_weights_are_told_apart_by_their_order(tmp_path: Path) -> None:
    model = seeded(Twins)
    plan = int8_plan(model)

    artifact = Ncnn().convert(Variant(model, plan), tmp_path)

    scales = [plan.activations[name].symmetric_scale for name in ("x", "mul")]
    assert scales[1] > 2 * scales[0]
    input_factors = [float(layer.blobs[3].values[0]) for layer in layers_of(artifact, "Convolution")]
    np.testing.assert_allclose(input_factors, 1 / np.array(scales), rtol=1e-6)  # float32
    expected = simulate(model, plan)
    assert sqnr(expected, answers(artifact)) > 60  # no depthwise layer: only halves are rounded differently


@pytest.mark.parametrize("shape", [(1, 12), (1, 5, 12)], ids=["vector", "sequence"])
def test_a_perceptron_takes_vectors_and_sequences(shape: tuple[int, ...], tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = exported(nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 4, bias=False)), shape)
    samples = np.random.default_rng(1).standard_normal((6, *shape[1:])).astype(np.float32)
    plan = int8_plan(model, samples)

    artifact = Ncnn().convert(Variant(model, plan), tmp_path)

    assert artifact.output.shape == (*shape[:-1], 4)
    assert Ncnn().open(artifact).kernels().int8 == 2
    assert sqnr(simulate(model, plan, samples), answers(artifact, samples)) > 60  # as above


def test_the_first_of_several_outputs_is_kept(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = exported(Elementwise(lambda x: {"a": (x.mean((2, 3)), x), "b": x}))

    artifact = Ncnn().convert(Variant(model, float_plan(model, Precision.FLOAT32)), tmp_path)

    assert answers(artifact).shape == (8, 3)


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (lambda x: torch.sort(x, -1)[0], "ncnn has no layer for aten::sort"),
        (lambda x: torch.where(x > 0, x, 2 * x), "ncnn has no layer for torch.gt, torch.where"),
        (lambda x: torch.cat([x, x], 0), "pnnx says: cat along batch axis 0 is not supported"),
    ],
    ids=["aten op", "torch op", "batch axis"],
)
def test_an_op_that_ncnn_lacks_is_named(function: Callable[[torch.Tensor], object], named: str, tmp_path: Path) -> None:
    model = exported(Elementwise(function), dynamic=False)

    with pytest.raises(ConversionError, match=named) as caught:
        Ncnn().convert(Variant(model, float_plan(model, Precision.FLOAT32)), tmp_path)

    assert "--targets" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_missing_packages_are_named_with_the_extra(model: LoadedModel, tmp_path: Path) -> None:
    class Elsewhere(Ncnn):
        info = replace(Ncnn.info, packages=("ncnn", "pocketfit-absent"))

    with pytest.raises(RuntimeMissing, match=r'pocketfit-absent.*pip install "pocketfit\[ncnn\]"'):
        Elsewhere().convert(Variant(model, float_plan(model, Precision.FLOAT32)), tmp_path)


def test_files_that_ncnn_cannot_load_are_refused(float32: Artifact, tmp_path: Path) -> None:
    param, weights = tmp_path / "model.param", tmp_path / "model.bin"
    param.write_bytes(float32.files[0].read_bytes())
    weights.write_bytes(float32.files[1].read_bytes()[:100])

    with pytest.raises(ConversionError, match="ncnn cannot load"):
        Ncnn().open(replace(float32, files=(param, weights)))
