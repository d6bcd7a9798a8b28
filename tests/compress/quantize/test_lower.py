from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.fx import GraphModule, Node

from pocketfit.compress.quantize.bias_correction import with_biases
from pocketfit.compress.quantize.fake import fake_quantize_weight
from pocketfit.compress.quantize.lower import Activations, Weights, integer_weight, lower, weight_constants
from pocketfit.compress.quantize.plan import float_plan, int8_plan
from pocketfit.compress.quantize.recipe import Recipe
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.compress.quantize.statistics import TensorStatistics
from pocketfit.graph.attributes import get_tensor
from pocketfit.types import LoadedModel, Precision, QuantizationPlan, Scheme

ops = torch.ops.quantized_decomposed
FORMS = [
    pytest.param(Activations.UNSIGNED, Weights.INTEGER, id="unsigned, integer weights"),
    pytest.param(Activations.SIGNED, Weights.CHAIN, id="signed, weight chains"),
    pytest.param(Activations.SYMMETRIC, Weights.INTEGER, id="symmetric"),
]


# Plans of more than 8-bit weights and activations; none quantizes at run time, which is the runtimes' own doing.
MIXED = {
    "4-bit weights": Recipe(weight_bits=4),
    "16-bit activations": Recipe(activation_bits=16),
    "a 16-bit tensor between 8-bit ones": Recipe(wide=frozenset({"hardtanh"})),
    "half layer": Recipe(half=frozenset({"conv2d_1"})),
    "float layer": Recipe(keep_float=frozenset({"conv2d_1"})),
    "weight-only": Recipe(activation_bits=32),
}


def scheme_of(activations: Activations) -> Scheme:
    return Scheme.SYMMETRIC if activations is Activations.SYMMETRIC else Scheme.AFFINE


def calls(graph: GraphModule, target: object) -> list[Node]:
    return [node for node in graph.graph.nodes if node.target is target]


def constants(graph: GraphModule) -> dict[str, torch.Tensor]:
    names = [str(node.target) for node in graph.graph.nodes if node.op == "get_attr"]
    return {name: get_tensor(graph, name) for name in names}


def run(graph: Callable[[torch.Tensor], torch.Tensor], samples: list[np.ndarray]) -> np.ndarray:
    with torch.no_grad():
        return np.concatenate([np.asarray(graph(torch.from_numpy(batch))) for batch in samples])


@pytest.mark.parametrize(("activations", "weights"), FORMS)
def test_the_lowered_graph_computes_what_the_simulator_does(
    model: LoadedModel, plan: QuantizationPlan, samples: list[np.ndarray], activations: Activations, weights: Weights
) -> None:
    found = run(lower(model.graph, plan, activations, weights), samples)
    expected = simulate(model, plan, scheme_of(activations), samples)
    step = plan.activations["linear"].scale
    # Float arithmetic on dequantized values rounds a tie to the other side now and then, and layers pass that on:
    # one step of a tensor of this depth, two at most, and on average far less than one.
    assert np.abs(found - expected).max() <= 2.01 * step
    assert np.abs(found - expected).mean() < 0.1 * step
    floats = run(model.graph, samples)
    assert np.abs(floats - expected).mean() > 0.2 * step  # a plan that did nothing would be caught


@pytest.mark.parametrize("recipe", MIXED.values(), ids=MIXED)
@pytest.mark.parametrize(("activations", "weights"), FORMS)
def test_mixed_plans_are_lowered_to_what_the_simulator_does(
    model: LoadedModel,
    statistics: dict[str, TensorStatistics],
    samples: list[np.ndarray],
    recipe: Recipe,
    activations: Activations,
    weights: Weights,
) -> None:
    plan = int8_plan(model, statistics, data_fingerprint="", samples=32, recipe=recipe)
    found = run(lower(model.graph, plan, activations, weights), samples)
    expected = simulate(model, plan, scheme_of(activations), samples)
    if "linear" not in plan.activations:  # nothing is rounded: float32 arithmetic alone
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
        return
    step = (expected.max() - expected.min()) / 255
    # As for 8 bits: a tie that falls to the other side is a step or two of a tensor, and on average next to nothing.
    assert np.abs(found - expected).max() <= 2.01 * step
    assert np.abs(found - expected).mean() < 0.1 * step


def test_unsigned_and_signed_storage_give_the_same(
    model: LoadedModel, plan: QuantizationPlan, samples: list[np.ndarray]
) -> None:
    unsigned = run(lower(model.graph, plan, Activations.UNSIGNED, Weights.CHAIN), samples)
    signed = run(lower(model.graph, plan, Activations.SIGNED, Weights.CHAIN), samples)
    np.testing.assert_array_equal(unsigned, signed)


@pytest.mark.parametrize("activations", [Activations.UNSIGNED, Activations.SIGNED])
def test_every_tensor_of_the_plan_is_quantized_with_its_numbers(
    model: LoadedModel, plan: QuantizationPlan, activations: Activations
) -> None:
    lowered = lower(model.graph, plan, activations, Weights.INTEGER)
    low, high, dtype = activations.value
    found = {str(node.args[0]): node.args[1:] for node in calls(lowered, ops.quantize_per_tensor.default)}
    assert found == {
        name: (activation.scale, activation.zero_point + low, low, high, dtype)
        for name, activation in plan.activations.items()
    }


def test_integer_weights_are_those_of_the_plan_and_no_float_weight_is_left(
    model: LoadedModel, plan: QuantizationPlan
) -> None:
    lowered = lower(model.graph, plan, Activations.UNSIGNED, Weights.INTEGER)
    stored = constants(lowered)
    for name, layer in plan.layers.items():
        weight = get_tensor(model.graph, layer.weight)
        scales = torch.tensor(layer.weight_scales).reshape(-1, *[1] * (weight.ndim - 1))
        expected = torch.round(weight / scales).clamp(-127, 127).to(torch.int8)
        torch.testing.assert_close(stored[f"_plan_{name}_weight"], expected, rtol=0, atol=0)
    assert not set(stored) & {layer.weight for layer in plan.layers.values()}
    kept = dict([*lowered.named_parameters(), *lowered.named_buffers()])
    assert set(kept) == set(stored)
    assert all(tensor.ndim < 2 for tensor in kept.values() if tensor.is_floating_point())


def test_biases_are_stored_as_int32_with_the_scale_of_the_sums(model: LoadedModel, plan: QuantizationPlan) -> None:
    stored = constants(lower(model.graph, plan, Activations.UNSIGNED, Weights.INTEGER))
    layer, bias = plan.layers["conv2d"], get_tensor(model.graph, "stem.0.bias").double()
    scales = plan.activations["x"].scale * np.array(layer.weight_scales)
    assert stored["_plan_conv2d_bias"].dtype is torch.int32
    # The stored scale is a float32 product: a relative 1e-7 of biases of some thousand steps.
    np.testing.assert_allclose(stored["_plan_conv2d_bias"], np.rint(bias / scales), atol=1)
    np.testing.assert_allclose(stored["_plan_conv2d_bias_scales"], scales, rtol=1e-6)


def test_chained_weights_are_float_and_the_chain_says_how(model: LoadedModel, plan: QuantizationPlan) -> None:
    lowered = lower(model.graph, plan, Activations.SIGNED, Weights.CHAIN)
    chains = calls(lowered, ops.quantize_per_channel.default)
    assert len(chains) == len(plan.layers)
    for chain, layer in zip(chains, plan.layers.values(), strict=True):
        assert isinstance(chain.args[0], Node)
        weight = get_tensor(lowered, str(chain.args[0].target))
        # On the plan's grid, so that whoever quantizes them again finds the plan's integers.
        expected = fake_quantize_weight(get_tensor(model.graph, layer.weight), layer)
        torch.testing.assert_close(weight, expected, rtol=0, atol=0)
        assert chain.args[3:] == (0, -127, 127, torch.int8)


def test_symmetric_quantizes_the_inputs_of_layers_only(model: LoadedModel, plan: QuantizationPlan) -> None:
    lowered = lower(model.graph, plan, Activations.SYMMETRIC, Weights.INTEGER)
    quantized = calls(lowered, ops.quantize_per_tensor.default)
    inputs = {str(node.args[0]) for node in model.graph.graph.nodes if node.name in plan.layers}
    assert {str(node.args[0]) for node in quantized} == inputs == {"x", "hardtanh", "hardswish", "mean"}
    for node in quantized:
        name = str(node.args[0])
        assert node.args[1:] == (plan.activations[name].symmetric_scale, 0, -127, 127, torch.int8)
        (restored,) = node.users
        assert {user.name for user in restored.users} <= set(plan.layers)
    # The residual sum still reads the float tensor.
    add = calls(lowered, torch.ops.aten.add.Tensor)[0]
    assert "hardtanh" in {str(argument) for argument in add.args}


@pytest.mark.parametrize(("activations", "weights"), FORMS)
def test_the_canonical_graph_is_left_as_it_is(
    model: LoadedModel, plan: QuantizationPlan, activations: Activations, weights: Weights
) -> None:
    code = model.graph.code
    before = {name: tensor.clone() for name, tensor in model.graph.state_dict().items()}
    lower(model.graph, plan, activations, weights)
    assert model.graph.code == code
    after = model.graph.state_dict()
    assert set(after) == set(before)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize(("activations", "weights"), FORMS)
def test_a_corrected_bias_takes_the_place_of_the_layers_own(
    model: LoadedModel, plan: QuantizationPlan, activations: Activations, weights: Weights
) -> None:
    raised = get_tensor(model.graph, "head.bias") + torch.arange(5.0)
    corrected = with_biases(plan, scheme_of(activations), {"linear": tuple(raised.tolist())})
    stored = constants(lower(model.graph, corrected, activations, weights))
    bias = stored["_plan_linear_bias"]
    if bias.dtype is torch.int32:
        scales = stored["_plan_linear_bias_scales"]
        torch.testing.assert_close(bias * scales, raised, rtol=0, atol=float(scales.max()))  # a step of the sums
    else:
        assert torch.equal(bias, raised)


def test_the_other_scheme_keeps_the_layers_own_bias(model: LoadedModel, plan: QuantizationPlan) -> None:
    corrected = with_biases(plan, Scheme.AFFINE, {"linear": (0.0, 1.0, 2.0, 3.0, 4.0)})
    stored = constants(lower(model.graph, corrected, Activations.SYMMETRIC, Weights.INTEGER))
    assert torch.equal(stored["_plan_linear_bias"], get_tensor(model.graph, "head.bias"))


def test_float16_rounds_the_weights_of_layers_and_nothing_else(model: LoadedModel) -> None:
    plan = float_plan(model, Precision.FLOAT16)
    stored = constants(lower(model.graph, plan, Activations.UNSIGNED, Weights.INTEGER))
    for name, tensor in stored.items():
        original = get_tensor(model.graph, name)
        halved = name in {layer.weight for layer in plan.layers.values()}
        torch.testing.assert_close(tensor, original.half().float() if halved else original, rtol=0, atol=0)


def test_float32_is_a_plain_copy(model: LoadedModel, samples: list[np.ndarray]) -> None:
    lowered = lower(model.graph, float_plan(model, Precision.FLOAT32), Activations.UNSIGNED, Weights.INTEGER)
    assert lowered is not model.graph
    np.testing.assert_array_equal(run(lowered, samples), run(model.graph, samples))


def test_integer_weights_stay_within_127(model: LoadedModel, plan: QuantizationPlan) -> None:
    for layer in plan.layers.values():
        integers = integer_weight(get_tensor(model.graph, layer.weight), layer)
        assert integers.dtype is torch.int8
        assert integers.abs().max() <= 127


def test_four_bit_weights_stay_within_7(model: LoadedModel, statistics: dict[str, TensorStatistics]) -> None:
    plan = int8_plan(model, statistics, data_fingerprint="", samples=32, recipe=Recipe(weight_bits=4))
    narrow = {name: layer for name, layer in plan.layers.items() if layer.weight_bits == 4}
    assert set(narrow) == {"conv2d_2", "linear"}  # neither the first layer nor the depthwise one
    stored = constants(lower(model.graph, plan, Activations.UNSIGNED, Weights.INTEGER))
    for name in narrow:
        assert stored[f"_plan_{name}_weight"].abs().max() == 7


def test_sixteen_bits_are_symmetric_around_zero(model: LoadedModel, statistics: dict[str, TensorStatistics]) -> None:
    plan = int8_plan(model, statistics, data_fingerprint="", samples=32, recipe=Recipe(activation_bits=16))
    lowered = lower(model.graph, plan, Activations.UNSIGNED, Weights.INTEGER)
    found = {str(node.args[0]): node.args[1:] for node in calls(lowered, ops.quantize_per_tensor.default)}
    assert found == {
        name: (activation.scale, 0, -32767, 32767, torch.int16) for name, activation in plan.activations.items()
    }


def test_layers_that_compute_in_float_get_the_numbers_that_are_stored(
    model: LoadedModel, statistics: dict[str, TensorStatistics]
) -> None:
    recipe = Recipe(activation_bits=32, half=frozenset({"conv2d"}))
    plan = int8_plan(model, statistics, data_fingerprint="", samples=32, recipe=recipe)
    lowered = lower(model.graph, plan, Activations.SIGNED, Weights.CHAIN)
    stored = constants(lowered)
    for name, layer in plan.layers.items():
        weight = get_tensor(model.graph, layer.weight)
        expected = weight.half().float() if name == "conv2d" else fake_quantize_weight(weight, layer)
        torch.testing.assert_close(stored[f"_plan_{name}_weight"], expected, rtol=0, atol=0)
    assert not calls(lowered, ops.dequantize_per_channel.default)


def test_equal_layers_share_a_stored_weight(model: LoadedModel, plan: QuantizationPlan) -> None:
    """As the steps of an unrolled recurrent layer do."""
    twin = replace(plan.layers["conv2d_2"], source="twin")
    narrow = replace(plan.layers["linear"], weight_bits=4)
    layers = {**plan.layers, "conv2d_1": twin, "linear": narrow}
    names = weight_constants(model.graph, replace(plan, layers=layers))
    assert names["conv2d_1"] == names["conv2d_2"] == "_plan_conv2d_1_weight"
    assert len(set(names.values())) == 3
