from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pocketfit.compress.quantize.data_free import (
    clipped_normal_mean,
    data_free_bias_correction,
    data_free_statistics,
)
from pocketfit.compress.quantize.equalization import Relu6, equalize
from pocketfit.compress.quantize.placement import place
from pocketfit.compress.quantize.plan import int8_plan
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.contract import Color, Contract
from pocketfit.data.digits import read_digits
from pocketfit.errors import DataError
from pocketfit.graph.norm_statistics import NormStatistics, norm_statistics, record_norm_statistics
from pocketfit.models import canonicalise, restore, save
from pocketfit.models.fingerprint import fingerprint
from pocketfit.models.weights import with_weights
from pocketfit.types import LoadedModel, QuantizationPlan, Scheme

Load = Callable[[Callable[[], nn.Module], tuple[int, ...]], LoadedModel]
GRAY = Contract(color=Color.GRAY)


class DigitNet(nn.Module):
    """Convolutions with batch-norm, plain and depthwise, a residual sum, pooling and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU6())
        self.depthwise = nn.Sequential(
            nn.Conv2d(12, 12, 3, padding=1, groups=12, bias=False), nn.BatchNorm2d(12), nn.ReLU()
        )
        self.project = nn.Sequential(nn.Conv2d(12, 12, 1, bias=False), nn.BatchNorm2d(12))
        self.head = nn.Sequential(nn.Conv2d(12, 24, 3, stride=2, bias=False), nn.BatchNorm2d(24), nn.ReLU())
        self.classifier = nn.Linear(24, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = x + self.project(self.depthwise(x))
        return self.classifier(self.head(x).mean((2, 3)))


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Held-out digits and their labels."""
    data = read_digits()
    held_out = np.setdiff1d(np.arange(len(data.labels)), list(data.training))
    return data.inputs[held_out], data.labels[held_out]


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    """Trained for a second or two."""
    data = read_digits()
    positions = torch.tensor(list(data.training))
    inputs, labels = torch.from_numpy(data.inputs)[positions], torch.from_numpy(data.labels)[positions]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = DigitNet()
        optimizer = torch.optim.AdamW(net.parameters(), 1e-2)
        for _ in range(8):
            for batch in torch.randperm(len(labels)).split(64):
                loss = nn.functional.cross_entropy(net(inputs[batch]), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return canonicalise(net, (1, 8, 8), name="digit-net", preprocess=GRAY)


def planned(model: LoadedModel) -> QuantizationPlan:
    return int8_plan(model, data_free_statistics(model), data_fingerprint="", samples=0)


def outputs(model: LoadedModel, inputs: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        result: np.ndarray = model.graph(torch.from_numpy(inputs)).numpy()
    return result


def coarse(plan: QuantizationPlan, factor: float) -> QuantizationPlan:
    """The plan with all weights rounded to so coarse a grid that outputs shift."""
    layers = {
        name: replace(layer, weight_scales=tuple(scale * factor for scale in layer.weight_scales))
        for name, layer in plan.layers.items()
    }
    return replace(plan, layers=layers)


def test_a_folded_layer_remembers_what_its_normalisation_knew(load: Load, tmp_path: Path) -> None:
    def build() -> nn.Module:
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1))
        with torch.no_grad():
            net[1].weight.copy_(torch.tensor([1.0, -2.0, 0.0, 0.5]))
            net[1].bias.copy_(torch.tensor([0.25, 1.0, -3.0, 0.0]))
        return net

    model = load(build, (3, 8, 8))
    save(model, tmp_path)
    for one in (model, restore(tmp_path)):
        first, second = (node for node in one.graph.graph.nodes if node.name.startswith("conv2d"))
        known = norm_statistics(first)
        assert known is not None
        assert known.mean.tolist() == [0.25, 1.0, -3.0, 0.0] and known.std.tolist() == [1.0, 2.0, 0.0, 0.5]
        assert norm_statistics(second) is None


def test_statistics_are_no_part_of_a_models_identity(load: Load) -> None:
    model = load(lambda: nn.Conv2d(3, 2, 1), (3, 4, 4))
    with_statistics = with_weights(model, {}).graph
    layer = next(node for node in with_statistics.graph.nodes if node.name == "conv2d")
    record_norm_statistics(layer, NormStatistics(torch.zeros(2), torch.ones(2)))
    assert fingerprint(with_statistics) == model.fingerprint


@pytest.mark.parametrize(("low", "high"), [(0.0, float("inf")), (0.0, 6.0), (-float("inf"), float("inf")), (-1.0, 1.0)])
def test_the_mean_of_a_clipped_normal_variable(low: float, high: float) -> None:
    mean, std = torch.tensor([-2.0, 0.0, 0.3, 5.0, 9.0]), torch.tensor([1.0, 2.0, 0.0, 3.0, 0.5])
    # Midpoints of 100,000 slices of equal probability.
    normal = torch.special.ndtri((torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000)
    expected = (mean[:, None] + std[:, None] * normal).clip(low, high).mean(1)
    # The outermost slices of an unbounded tail are as wide as 1e-5 of the probability allows.
    np.testing.assert_allclose(clipped_normal_mean(mean, std, low, high), expected, atol=1e-4)


def test_every_tensor_of_the_plan_has_statistics(model: LoadedModel) -> None:
    statistics = data_free_statistics(model)
    assert set(statistics) == set(place(model.graph).tensors)
    assert (statistics["x"].minimum, statistics["x"].maximum) == (0.0, 1.0)  # what pixels can be


def test_ranges_are_six_deviations_around_the_mean(model: LoadedModel) -> None:
    statistics = data_free_statistics(model)
    known = {node.name: norm_statistics(node) for node in model.graph.graph.nodes}
    project, depthwise = known["conv2d_2"], known["conv2d_1"]
    assert project is not None and depthwise is not None
    low, high = float((project.mean - 6 * project.std).min()), float((project.mean + 6 * project.std).max())
    # Exact but for the rounding of float32.
    assert statistics["conv2d_2"].minimum == pytest.approx(low, rel=1e-6)
    assert statistics["conv2d_2"].maximum == pytest.approx(high, rel=1e-6)
    assert statistics["relu"].minimum == 0
    assert statistics["relu"].maximum == pytest.approx(float((depthwise.mean + 6 * depthwise.std).max()), rel=1e-6)
    assert statistics["hardtanh"].maximum <= 6


def test_means_are_those_that_the_normalisations_know(model: LoadedModel) -> None:
    known = next(norm_statistics(node) for node in model.graph.graph.nodes if node.name == "conv2d_2")
    assert known is not None
    mean = data_free_statistics(model)["conv2d_2"].channel_mean
    np.testing.assert_allclose(mean, known.mean, atol=1e-4)  # sums of some thousand float32 values


@pytest.mark.parametrize("scheme", Scheme)
def test_int8_without_data_answers_as_float_does(
    model: LoadedModel, digits: tuple[np.ndarray, np.ndarray], scheme: Scheme
) -> None:
    inputs, labels = digits
    floats = outputs(model, inputs)
    assert (floats.argmax(1) == labels).mean() > 0.9  # otherwise agreement would say little
    for equalized in (model, equalize(model, Relu6.CLIP).model):
        plan = data_free_bias_correction(equalized, planned(equalized))
        agreement = (simulate(equalized, plan, scheme, [inputs]).argmax(1) == floats.argmax(1)).mean()
        assert agreement >= 0.99  # three of the 599 digits lie close enough to two classes


@pytest.mark.parametrize("scheme", Scheme)
def test_correction_takes_out_what_rounded_weights_shift(
    model: LoadedModel, digits: tuple[np.ndarray, np.ndarray], scheme: Scheme
) -> None:
    inputs, _ = digits
    floats = outputs(model, inputs)
    plan = coarse(planned(model), 12)  # some three bits a weight

    def error(of: QuantizationPlan) -> float:
        return float(np.square(simulate(model, of, scheme, [inputs]) - floats).mean())

    assert error(data_free_bias_correction(model, plan)) < error(plan)


def test_the_plan_says_that_no_data_was_used(model: LoadedModel) -> None:
    plan = data_free_bias_correction(model, planned(model))
    assert "No data was used" in plan.notes[-1] and "4 layers" in plan.notes[-1]
    assert all(set(layer.bias) == set(Scheme) for layer in plan.layers.values())


def test_groups_are_corrected_with_their_own_inputs(load: Load) -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), nn.Conv2d(8, 6, 1, groups=2))

    model = load(build, (3, 4, 4))
    plan = coarse(planned(model), 30)
    known = next(norm_statistics(node) for node in model.graph.graph.nodes if node.name == "conv2d")
    assert known is not None
    layer = plan.layers["conv2d_1"]
    corrected = np.array(data_free_bias_correction(model, plan).layers["conv2d_1"].bias[Scheme.AFFINE])
    weight, bias = (model.graph.get_parameter(f"2.{name}").detach().numpy() for name in ("weight", "bias"))
    scales = np.array(layer.weight_scales).reshape(-1, 1, 1, 1)
    error = (np.clip(np.rint(weight / scales), -127, 127) * scales - weight)[:, :, 0, 0]
    means = known.mean.numpy().reshape(2, 4)
    expected = bias - np.concatenate([error[:3] @ means[0], error[3:] @ means[1]])
    np.testing.assert_allclose(corrected, expected, rtol=1e-5, atol=1e-6)  # float32


def test_a_model_with_a_fixed_batch_works_as_well(load: Load) -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layers(x).reshape(1, -1) if len(x) == 1 else self.layers(x)

    net = canonicalise(Fixed(), (1, 6, 6), name="fixed")
    assert not net.dynamic_batch
    assert set(data_free_statistics(net)) == set(place(net.graph).tensors)


def test_without_batch_norm_data_is_needed(load: Load) -> None:
    model = load(lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()), (1, 6, 6))
    with pytest.raises(DataError, match=r"small has no batch normalisation.*give some calibration images"):
        data_free_statistics(model)
