from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from pocketfit.compress.quantize.calibrate import calibrate
from pocketfit.compress.quantize.fake import fake_quantize_dynamically, fake_quantize_weight
from pocketfit.compress.quantize.placement import place
from pocketfit.compress.quantize.plan import float_plan, int8_plan
from pocketfit.compress.quantize.recipe import Recipe
from pocketfit.compress.quantize.simulate import simulate, simulation_graph
from pocketfit.compress.quantize.statistics import TensorStatistics
from pocketfit.graph.attributes import get_tensor
from pocketfit.types import LoadedModel, Precision, QuantizationPlan, Scheme

RESTORE = torch.ops.quantized_decomposed.dequantize_per_tensor.default
Load = Callable[[Callable[[], nn.Module], tuple[int, ...]], LoadedModel]


@pytest.fixture(scope="module")
def floats(model: LoadedModel, samples: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([model.graph(torch.from_numpy(batch)).detach().numpy() for batch in samples])


def test_float32_is_the_model_itself(model: LoadedModel, samples: list[np.ndarray], floats: np.ndarray) -> None:
    plan = float_plan(model, Precision.FLOAT32)
    np.testing.assert_array_equal(simulate(model, plan, Scheme.AFFINE, samples), floats)


def test_float16_differs_by_the_rounding_of_the_weights(
    model: LoadedModel, samples: list[np.ndarray], floats: np.ndarray
) -> None:
    found = simulate(model, float_plan(model, Precision.FLOAT16), Scheme.AFFINE, samples)
    error = np.abs(found - floats).max() / np.abs(floats).max()
    assert 0 < error < 4 * 2**-11  # four layers, each weight off by at most half a unit of float16's last place


@pytest.mark.parametrize("scheme", Scheme)
def test_int8_stays_close_to_float(
    model: LoadedModel, plan: QuantizationPlan, samples: list[np.ndarray], floats: np.ndarray, scheme: Scheme
) -> None:
    found = simulate(model, plan, scheme, samples)
    noise = np.square(found - floats).sum()
    # Eight bits give some 40 dB a tensor; eight of them in a row leave more than 25.
    assert 10 * np.log10(np.square(floats).sum() / noise) > 25


def test_outputs_of_an_affine_plan_are_on_its_grid(
    model: LoadedModel, plan: QuantizationPlan, samples: list[np.ndarray]
) -> None:
    last = plan.activations["linear"]
    steps = simulate(model, plan, Scheme.AFFINE, samples) / np.float32(last.scale)
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-4)  # float32
    assert steps.min() >= -last.zero_point - 1e-4
    assert steps.max() <= 255 - last.zero_point + 1e-4


@pytest.mark.parametrize("scheme", Scheme)
def test_a_fused_relu6_clips_where_the_scale_reaches_beyond_it(load: Load, scheme: Scheme) -> None:
    model = load(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU6()), (3, 8, 8))
    loud = [np.random.default_rng(0).normal(0, 20, (4, 3, 8, 8)).astype(np.float32)]
    statistics = calibrate(model.graph, loud, place(model.graph).tensors)
    plan = int8_plan(model, statistics, data_fingerprint="", samples=4)
    wide = replace(plan.activations["hardtanh"], scale=9 / 255, zero_point=0)
    plan = replace(plan, activations={**plan.activations, "hardtanh": wide})
    found = simulate(model, plan, scheme, loud)
    assert found.min() == 0
    assert found.max() == pytest.approx(6, abs=wide.scale / 2)  # 6 lies between two steps of this scale


def test_progress_counts_samples(model: LoadedModel, plan: QuantizationPlan, samples: list[np.ndarray]) -> None:
    done: list[int] = []
    outputs = simulate(model, plan, Scheme.AFFINE, samples[:2], done.append)
    assert done == [4, 4]
    assert outputs.shape == (8, 5)
    assert outputs.dtype == np.float32


@pytest.mark.parametrize("scheme", Scheme)
def test_the_batch_size_does_not_matter(
    model: LoadedModel, plan: QuantizationPlan, samples: list[np.ndarray], scheme: Scheme
) -> None:
    together = simulate(model, plan, scheme, samples[:2])
    one_by_one = simulate(model, plan, scheme, [sample[None] for batch in samples[:2] for sample in batch])
    # Integer layers are exact; what is float between them may round a tie to the other side.
    step = plan.activations["linear"].scale
    assert np.abs(together - one_by_one).max() <= 1.01 * step


def test_the_canonical_graph_is_left_as_it_is(model: LoadedModel, plan: QuantizationPlan) -> None:
    code, weight = model.graph.code, get_tensor(model.graph, "head.weight").clone()
    simulation_graph(model.graph, plan, Scheme.SYMMETRIC)
    simulation_graph(model.graph, float_plan(model, Precision.FLOAT16), Scheme.AFFINE)
    assert model.graph.code == code
    assert torch.equal(get_tensor(model.graph, "head.weight"), weight)


def recipe_plan(model: LoadedModel, statistics: dict[str, TensorStatistics], recipe: Recipe) -> QuantizationPlan:
    return int8_plan(model, statistics, data_fingerprint="", samples=32, recipe=recipe)


def decibels(found: np.ndarray, floats: np.ndarray) -> float:
    return float(10 * np.log10(np.square(floats).sum() / np.square(found - floats).sum()))


@pytest.mark.parametrize("scheme", Scheme)
def test_more_bits_are_nearer_to_float(
    model: LoadedModel,
    statistics: dict[str, TensorStatistics],
    samples: list[np.ndarray],
    floats: np.ndarray,
    scheme: Scheme,
) -> None:
    recipes = (
        Recipe(weight_bits=4),
        Recipe(),
        Recipe(activation_bits=16),
        Recipe(half=frozenset({"conv2d", "conv2d_1", "conv2d_2", "linear"}), activation_bits=32),
    )
    plans = [recipe_plan(model, statistics, recipe) for recipe in recipes]
    quality = [decibels(simulate(model, plan, scheme, samples), floats) for plan in plans]
    # Each step takes the worst rounding away: some 3 dB at least; half weights leave 11 bits.
    assert all(better > worse + 3 for worse, better in pairwise(quality))
    assert quality[-1] > 60


@pytest.mark.parametrize("scheme", Scheme)
def test_a_float_layer_between_int8_ones_computes_in_float(
    model: LoadedModel, plan: QuantizationPlan, samples: list[np.ndarray], scheme: Scheme
) -> None:
    """Its input is restored, its own weight is exact, and what it gives is quantized by whoever needs it."""
    layers = {name: layer for name, layer in plan.layers.items() if name != "linear"}
    activations = {name: numbers for name, numbers in plan.activations.items() if name != "linear"}
    found = simulate(model, replace(plan, layers=layers, activations=activations), scheme, samples)
    graph = simulation_graph(model.graph, replace(plan, layers=layers, activations=activations), scheme)
    linear = next(node for node in graph.graph.nodes if node.target is torch.ops.aten.linear.default)
    weight, bias = (get_tensor(graph, str(argument.target)) for argument in linear.args[1:3])
    assert torch.equal(weight, get_tensor(model.graph, "head.weight"))
    assert torch.equal(bias, get_tensor(model.graph, "head.bias"))
    assert len(np.unique(found)) > 0.9 * found.size  # not on a grid


def test_weight_only_is_the_float_model_with_restored_weights(
    model: LoadedModel, statistics: dict[str, TensorStatistics], samples: list[np.ndarray]
) -> None:
    plan = recipe_plan(model, statistics, Recipe(activation_bits=32, weight_bits=4))
    expected = simulation_graph(model.graph, float_plan(model, Precision.FLOAT32), Scheme.AFFINE)
    for layer in plan.layers.values():
        get_tensor(expected, layer.weight).copy_(fake_quantize_weight(get_tensor(model.graph, layer.weight), layer))
    with torch.no_grad():
        outputs = np.concatenate([expected(torch.from_numpy(batch)).numpy() for batch in samples])
    np.testing.assert_array_equal(simulate(model, plan, Scheme.AFFINE, samples), outputs)


@pytest.mark.parametrize("scheme", Scheme)
def test_a_dynamic_layer_takes_the_range_of_each_sample(
    model: LoadedModel, statistics: dict[str, TensorStatistics], samples: list[np.ndarray], scheme: Scheme
) -> None:
    plan = recipe_plan(model, statistics, Recipe(activation_bits=32, dynamic=frozenset({"linear"})))
    graph = simulation_graph(model.graph, plan, scheme)
    (dynamic,) = [node for node in graph.graph.nodes if node.target is fake_quantize_dynamically]
    assert dynamic.name != "linear"
    together = simulate(model, plan, scheme, samples[:2])
    one_by_one = simulate(model, plan, scheme, [sample[None] for batch in samples[:2] for sample in batch])
    # A batch must not share its largest value; float32 sums of a batch may come in another order.
    np.testing.assert_allclose(together, one_by_one, rtol=0, atol=1e-4 * np.abs(together).max())


def test_a_layer_may_read_8_bits_and_write_16_and_the_other_way_round(
    model: LoadedModel, statistics: dict[str, TensorStatistics], samples: list[np.ndarray], floats: np.ndarray
) -> None:
    plan = recipe_plan(model, statistics, Recipe(wide=frozenset({"hardtanh"})))
    assert [plan.activations[name].bits for name in ("x", "hardtanh", "hardswish")] == [8, 16, 8]
    graph = simulation_graph(model.graph, plan, Scheme.AFFINE)
    (wide,) = [node for node in graph.graph.nodes if node.args[-1:] == (torch.int16,) and node.target is not RESTORE]
    assert wide.args[1:3] == (plan.activations["hardtanh"].scale, 0)
    # One tensor of eight with more bits: neither better nor worse by more than the noise of the others.
    assert decibels(simulate(model, plan, Scheme.AFFINE, samples), floats) > 40
