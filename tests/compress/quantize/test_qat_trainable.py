import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.fx import GraphModule

from pocketfit.compress.quantize.calibrate import calibrate
from pocketfit.compress.quantize.lower import Activations, Weights, lower
from pocketfit.compress.quantize.placement import place
from pocketfit.compress.quantize.plan import int8_plan
from pocketfit.compress.quantize.qat.deploy import deploy
from pocketfit.compress.quantize.qat.recipe import Trains
from pocketfit.compress.quantize.qat.trainable import Trainable, make_trainable
from pocketfit.compress.quantize.recipe import Granularity, Recipe
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.compress.quantize.walk import Site, Values, walk
from pocketfit.graph.running import arguments, joined
from pocketfit.models.canonical import canonicalise
from pocketfit.testing.models import MODELS, TinyModel, build
from pocketfit.types import LoadedModel, QuantizationPlan, Scheme, Variant

Load = Callable[[Callable[[], nn.Module], tuple[int, ...]], LoadedModel]
STORAGE = {Scheme.AFFINE: Activations.UNSIGNED, Scheme.SYMMETRIC: Activations.SYMMETRIC}


def planned(model: LoadedModel, recipe: Recipe | None = None) -> tuple[QuantizationPlan, np.ndarray]:
    batch = np.random.default_rng(0).normal(size=(16, *model.row_shape)).astype(np.float32)
    statistics = calibrate(model.graph, [batch], place(model.graph).tensors)
    return int8_plan(model, statistics, data_fingerprint="", samples=16, recipe=recipe or Recipe()), batch


@functools.cache
def small(kind: type[TinyModel]) -> tuple[LoadedModel, QuantizationPlan, np.ndarray]:
    model = canonicalise(build(kind), kind.input_shape, name="m")
    return model, *planned(model)


def run(graph: GraphModule, batch: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        output: np.ndarray = joined(graph(*arguments(graph, torch.from_numpy(batch)))).numpy()
    return output


def disturb(trainable: Trainable) -> None:
    """Other numbers everywhere, as training leaves them."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in trainable.graph.parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator) * 0.02
                parameter.add_(noise)


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("kind", MODELS)
def test_untrained_it_is_the_fake_quantized_graph_to_the_bit(kind: type[TinyModel], scheme: Scheme) -> None:
    model, plan, batch = small(kind)
    quantized = lower(model.graph, plan, STORAGE[scheme], Weights.CHAIN)
    assert np.array_equal(run(make_trainable(model.graph, plan, scheme).graph, batch), run(quantized, batch))


@pytest.mark.parametrize("scheme", Scheme)
def test_untrained_it_is_close_to_the_simulation(
    model: LoadedModel, plan: QuantizationPlan, samples: list[np.ndarray], scheme: Scheme
) -> None:
    got = run(make_trainable(model.graph, plan, scheme).graph, samples[0])
    # Exact integers round another way now and then: a unit of the answer, which has 8 bits in the affine scheme.
    tolerance = 2 * max(plan.activations[model.output.name].scale, 1e-4)
    np.testing.assert_allclose(got, simulate(model, plan, scheme, samples[:1]), atol=tolerance)


class _Listener:
    """Each layer's answer as the plan gives it."""

    def __init__(self) -> None:
        self.answers: dict[str, Values] = {}

    def visit(self, site: Site) -> Values:
        self.answers[site.node.name] = site.outputs(bias=site.planned_bias)
        return self.answers[site.node.name]


class _Recorder(torch.fx.Interpreter):
    """What every node gives."""

    def __init__(self, graph: GraphModule) -> None:
        super().__init__(graph)
        self.values: dict[str, torch.Tensor] = {}

    def run_node(self, n: torch.fx.Node) -> object:
        value = super().run_node(n)
        if isinstance(value, torch.Tensor):
            self.values[n.name] = value
        return value


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(weight_bits=4),
        Recipe(granularity=Granularity.PER_TENSOR),
        Recipe(activation_bits=16),
        Recipe(activation_bits=32),
        Recipe(half=frozenset({"conv2d_2"})),
        Recipe(keep_float=frozenset({"conv2d_1"})),
        Recipe(dynamic=frozenset({"linear"})),
    ],
    ids=["4-bit", "per-tensor", "16-bit", "weight-only", "half", "mixed", "dynamic"],
)
def test_layers_give_what_the_walk_gives(model: LoadedModel, scheme: Scheme, recipe: Recipe) -> None:
    plan, batch = planned(model, recipe)
    listener = _Listener()
    walk(model.graph, plan, scheme, [batch], listener)
    recorder = _Recorder(make_trainable(model.graph, plan, scheme).graph)
    with torch.no_grad():
        recorder.run(torch.from_numpy(batch))
    assert listener.answers
    for name, (answer,) in listener.answers.items():
        assert torch.equal(recorder.values[name], answer), name


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("kind", MODELS)
def test_what_was_trained_is_what_is_deployed(kind: type[TinyModel], scheme: Scheme) -> None:
    model, plan, batch = small(kind)
    trainable = make_trainable(model.graph, plan, scheme, learn_zero_points=True)
    disturb(trainable)
    variant = deploy(Variant(model, plan), scheme, trainable, Trains.EVERYTHING, "Trained.")
    assert variant.plan.model_fingerprint == variant.model.fingerprint != model.fingerprint
    assert variant.plan.notes[-1] == "Trained."
    quantized = lower(variant.model.graph, variant.plan, STORAGE[scheme], Weights.CHAIN)
    assert np.array_equal(run(trainable.graph, batch), run(quantized, batch))


def test_the_other_scheme_keeps_its_activations(model: LoadedModel, plan: QuantizationPlan) -> None:
    for scheme, other in ((Scheme.AFFINE, "symmetric_scale"), (Scheme.SYMMETRIC, "scale")):
        trainable = make_trainable(model.graph, plan, scheme)
        disturb(trainable)
        trained = deploy(Variant(model, plan), scheme, trainable, Trains.EVERYTHING).plan
        kept = {name: getattr(activation, other) for name, activation in plan.activations.items()}
        assert {name: getattr(activation, other) for name, activation in trained.activations.items()} == kept
        assert trained.activations != plan.activations


@pytest.mark.parametrize("scheme", Scheme)
def test_a_trained_plan_leaves_model_and_other_scheme_alone(
    model: LoadedModel, plan: QuantizationPlan, samples: list[np.ndarray], scheme: Scheme
) -> None:
    trainable = make_trainable(model.graph, plan, scheme)
    for weight in (*trainable.weights.values(), *trainable.weight_scales.values()):
        weight.requires_grad_(False)
    disturb(trainable)
    variant = deploy(Variant(model, plan), scheme, trainable, Trains.PLAN)
    assert variant.model is model
    quantized = lower(model.graph, variant.plan, STORAGE[scheme], Weights.CHAIN)
    assert np.array_equal(run(trainable.graph, samples[0]), run(quantized, samples[0]))
    (other,) = set(Scheme) - {scheme}
    before, after = (simulate(model, one, other, samples[:1]) for one in (plan, variant.plan))
    assert np.array_equal(before, after)


def test_corrected_biases_are_where_training_starts_and_are_contained_in_the_result(
    model: LoadedModel, plan: QuantizationPlan
) -> None:
    name = "conv2d_2"
    corrected = tuple(float(number) for number in range(8))
    layers = plan.layers | {name: replace(plan.layers[name], bias={Scheme.AFFINE: corrected})}
    trainable = make_trainable(model.graph, replace(plan, layers=layers), Scheme.AFFINE)
    assert tuple(trainable.biases[name].tolist()) == corrected
    variant = deploy(Variant(model, replace(plan, layers=layers)), Scheme.AFFINE, trainable, Trains.EVERYTHING)
    assert not variant.plan.layers[name].bias
    again = make_trainable(variant.model.graph, variant.plan, Scheme.SYMMETRIC)
    assert tuple(again.biases[name].tolist()) == corrected


class _Twice(nn.Module):
    """A layer without a bias, called twice: one weight, two layers of the plan."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(torch.relu(self.layer(x)))


def test_a_layer_called_twice_trains_one_weight_and_two_biases(load: Load) -> None:
    model = load(_Twice, (6,))
    plan, batch = planned(model)
    trainable = make_trainable(model.graph, plan, Scheme.AFFINE)
    assert (len(trainable.weights), len(trainable.biases)) == (1, 2)
    disturb(trainable)
    variant = deploy(Variant(model, plan), Scheme.AFFINE, trainable, Trains.EVERYTHING)
    assert all(set(layer.bias) == set(Scheme) for layer in variant.plan.layers.values())
    quantized = lower(variant.model.graph, variant.plan, Activations.UNSIGNED, Weights.CHAIN)
    assert np.array_equal(run(trainable.graph, batch), run(quantized, batch))


class _Gate(nn.Module):
    """Tensors that must share a scale, one whose range is fixed, and the input."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Conv2d(3, 4, 1)
        self.right = nn.Conv2d(3, 4, 1)
        self.last = nn.Conv2d(8, 8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.cat([self.left(x), self.right(x)], 1)
        return self.last(y * torch.sigmoid(y))


def test_shared_scales_are_one_parameter_and_fixed_ones_are_not_trained(load: Load) -> None:
    model = load(_Gate, (3, 4, 4))
    plan, _ = planned(model)
    trainable = make_trainable(model.graph, plan, Scheme.AFFINE)
    groups = {plan.activations[name].group for name in ("conv2d", "conv2d_1", "cat")}
    assert len(groups) == 1 and groups <= set(trainable.activations)
    fixed = {name for name, one in trainable.activations.items() if not one.log_ratio.requires_grad}
    assert fixed == {model.input.name, "sigmoid"}
    disturb(trainable)
    trained = deploy(Variant(model, plan), Scheme.AFFINE, trainable, Trains.EVERYTHING).plan
    assert len({trained.activations[name].scale for name in ("conv2d", "conv2d_1", "cat")}) == 1
    assert trained.activations["sigmoid"].scale == 1 / 256


def test_every_parameter_gets_a_gradient(model: LoadedModel, plan: QuantizationPlan, samples: list[np.ndarray]) -> None:
    for scheme in Scheme:
        trainable = make_trainable(model.graph, plan, scheme)
        trainable.graph(torch.from_numpy(samples[0])).square().sum().backward()
        asked = [parameter for parameter in trainable.graph.parameters() if parameter.requires_grad]
        assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in asked)


def test_a_trained_bias_that_outgrows_int32_raises_its_scale(model: LoadedModel, plan: QuantizationPlan) -> None:
    name = "conv2d_2"
    trainable = make_trainable(model.graph, plan, Scheme.AFFINE)
    with torch.no_grad():
        trainable.weight_scales[name].log_ratio[0] = -40
        trainable.biases[name][0] = 5.0
    layer = deploy(Variant(model, plan), Scheme.AFFINE, trainable, Trains.EVERYTHING).plan.layers[name]
    read = plan.activations[str(next(n for n in model.graph.graph.nodes if n.name == name).args[0])]
    assert 5.0 / (read.scale * layer.weight_scales[0]) < 2**31
