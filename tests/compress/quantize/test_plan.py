import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from pocketfit.compress.quantize.calibrate import calibrate
from pocketfit.compress.quantize.placement import place
from pocketfit.compress.quantize.plan import float_plan, int8_plan, plan_from_json, plan_to_json
from pocketfit.compress.quantize.ranges import affine_from_range, mse_affine
from pocketfit.compress.quantize.ranges.mse import MeanSquaredError
from pocketfit.compress.quantize.readers import read_through
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.compress.quantize.statistics import TensorStatistics, merge
from pocketfit.types import LoadedModel, Precision, QuantizationPlan, Scheme

Load = Callable[[Callable[[], nn.Module], tuple[int, ...]], LoadedModel]
LAYERS = ["conv2d", "conv2d_1", "conv2d_2", "linear"]


def planned(model: LoadedModel, samples: list[np.ndarray]) -> QuantizationPlan:
    statistics = calibrate(model.graph, samples, place(model.graph).tensors)
    return int8_plan(model, statistics, data_fingerprint="", samples=len(samples))


def normal(shape: tuple[int, ...]) -> list[np.ndarray]:
    return [np.random.default_rng(seed).normal(size=(1, *shape)).astype(np.float32) for seed in range(16)]


def test_every_layer_and_tensor_has_its_numbers(model: LoadedModel, plan: QuantizationPlan) -> None:
    assert list(plan.layers) == LAYERS
    assert list(plan.activations) == list(place(model.graph).tensors)
    assert {name: len(layer.weight_scales) for name, layer in plan.layers.items()} == dict(
        zip(LAYERS, (8, 8, 8, 5), strict=True)
    )
    assert plan.precision is Precision.INT8
    assert (plan.model_fingerprint, plan.samples) == (model.fingerprint, 32)


def test_layers_know_where_they_come_from(plan: QuantizationPlan) -> None:
    sources = {name: (layer.op, layer.source, layer.weight) for name, layer in plan.layers.items()}
    assert sources["conv2d"] == ("conv2d", "stem.0", "stem.0.weight")
    assert sources["linear"] == ("linear", "head", "head.weight")


def test_activations_are_those_of_the_statistics(
    model: LoadedModel, plan: QuantizationPlan, statistics: dict[str, TensorStatistics]
) -> None:
    nodes = {node.name: node for node in model.graph.graph.nodes}
    for name, activation in plan.activations.items():
        seen = statistics[name]
        assert (activation.minimum, activation.maximum) == (seen.minimum, seen.maximum)
        method = MeanSquaredError(read_through(nodes[name]))
        # The answer of the model is never clipped.
        expected = affine_from_range(seen.minimum, seen.maximum) if name == "linear" else method.affine(seen)
        assert (activation.scale, activation.zero_point) == expected
        assert activation.symmetric_scale == method.symmetric(seen)
        assert activation.group == ""  # nothing is shared in this network


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.likely, self.small, self.large = (nn.Conv2d(3, 4, 1) for _ in range(3))
        nn.init.constant_(self.large.weight, 5.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        likely = self.likely(x).sigmoid().transpose(2, 3)
        return nn.functional.hardswish(torch.cat([self.small(x), self.large(x), likely], 1))


def test_a_group_has_one_scale_from_all_its_members(load: Load) -> None:
    model = load(Branches, (3, 4, 4))
    samples = normal((3, 4, 4))
    statistics = calibrate(model.graph, samples, place(model.graph).tensors)
    plan = int8_plan(model, statistics, data_fingerprint="", samples=16)
    shared = [name for name, activation in plan.activations.items() if activation.group == "conv2d_1"]
    assert shared == ["conv2d_1", "conv2d_2", "cat"]
    expected = mse_affine(merge(statistics[name] for name in shared))
    assert {(plan.activations[name].scale, plan.activations[name].zero_point) for name in shared} == {expected}
    assert plan.activations["conv2d_1"].maximum == statistics["conv2d_1"].maximum  # each keeps what was seen of it


def test_a_fixed_range_is_that_of_the_whole_group(load: Load) -> None:
    plan = planned(load(Branches, (3, 4, 4)), normal((3, 4, 4)))
    fixed = [plan.activations[name] for name in ("sigmoid", "transpose")]
    assert {(one.scale, one.zero_point) for one in fixed} == {(1 / 256, 0)}


class Quiet(nn.Module):
    """Channels that training left without weights but with a bias, before a ReLU, as MobileNets have many."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        with torch.no_grad():
            self.conv.weight[1] = 0
            self.conv.weight[2] *= 1e-9
            self.conv.bias[:] = 0.5

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv(x))


@pytest.mark.parametrize("scheme", Scheme)
def test_a_channel_without_weights_keeps_its_bias(load: Load, scheme: Scheme) -> None:
    samples = normal((3, 8, 8))
    model = load(Quiet, (3, 8, 8))
    plan = planned(model, samples)
    found = simulate(model, plan, scheme, samples)[:, 1:3]
    # Half a step of the output's scale, and nothing more: the bias itself is exact to 2^-30.
    np.testing.assert_allclose(found, 0.5, atol=plan.activations["relu"].scale * 0.51)


def test_a_silent_input_leaves_the_bias(load: Load) -> None:
    samples = [np.zeros((2, 3, 8, 8), np.float32)]
    model = load(Quiet, (3, 8, 8))
    plan = planned(model, samples)
    found = simulate(model, plan, Scheme.AFFINE, samples)
    np.testing.assert_allclose(found, 0.5, atol=plan.activations["relu"].scale * 0.51)  # as above


def test_a_plan_reads_back_exactly(plan: QuantizationPlan) -> None:
    corrected = replace(
        plan,
        layers={
            name: replace(layer, bias={Scheme.AFFINE: (0.1, 1 / 3), Scheme.SYMMETRIC: (1e-30,)})
            for name, layer in plan.layers.items()
        },
        notes=("Ünïcode.",),
    )
    for one in (plan, corrected):
        assert plan_from_json(plan_to_json(one)) == one
        assert plan_from_json(plan_to_json(one).encode()) == one


def test_a_person_can_read_a_plan(plan: QuantizationPlan) -> None:
    text = plan_to_json(plan)
    data = json.loads(text)
    assert text.count("\n") > 50  # indented, not one line
    assert data["precision"] == "int8"
    assert data["activations"]["hardtanh"]["zero_point"] == 0
    assert data["layers"]["conv2d"]["source"] == "stem.0"


@pytest.mark.parametrize(("precision", "layers"), [(Precision.FLOAT32, []), (Precision.FLOAT16, LAYERS)])
def test_float_plans(model: LoadedModel, precision: Precision, layers: list[str]) -> None:
    plan = float_plan(model, precision)
    assert plan.activations == {}
    assert list(plan.layers) == layers
    assert all(layer.weight_scales == () for layer in plan.layers.values())
    assert plan_from_json(plan_to_json(plan)) == plan
