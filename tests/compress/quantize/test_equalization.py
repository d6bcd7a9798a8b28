from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pocketfit.compress.quantize.calibrate import calibrate
from pocketfit.compress.quantize.equalization import LARGEST_SCALE, Relu6, equalize
from pocketfit.compress.quantize.placement import place
from pocketfit.compress.quantize.plan import int8_plan
from pocketfit.compress.quantize.recipe import Granularity, Recipe
from pocketfit.compress.quantize.same_function import TOLERANCE, prove_same
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.errors import ModelError
from pocketfit.graph.attributes import get_tensor
from pocketfit.graph.base import relative_error
from pocketfit.graph.norm_statistics import norm_statistics
from pocketfit.models import restore, save
from pocketfit.models.weights import with_weights
from pocketfit.types import LoadedModel, Scheme

Load = Callable[[Callable[[], nn.Module], tuple[int, ...]], LoadedModel]


def answers(model: LoadedModel, inputs: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        result: torch.Tensor = model.graph(inputs)
    return result


def images(*shape: int, scale: float = 1.0) -> torch.Tensor:
    return torch.randn(4, *shape, generator=torch.Generator().manual_seed(1)) * scale


def uneven(module: nn.Module) -> nn.Module:
    """The module with output channels of very different sizes in every layer but the last."""
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        for layer in layers[:-1]:
            sizes = torch.logspace(-1.5, 1.5, layer.weight.shape[0])
            layer.weight.mul_(sizes.reshape(-1, *[1] * (layer.weight.dim() - 1)))
            if layer.bias is not None:
                layer.bias.mul_(sizes)
    return module


def chain(activation: nn.Module) -> nn.Module:
    """Pointwise, depthwise, pointwise, as in MobileNets."""
    return uneven(
        nn.Sequential(
            nn.Conv2d(3, 8, 1), activation, nn.Conv2d(8, 8, 3, padding=1, groups=8), activation, nn.Conv2d(8, 4, 1)
        )
    )


def largest(model: LoadedModel, path: str, axis: int) -> torch.Tensor:
    return get_tensor(model.graph, path).abs().movedim(axis, 0).flatten(1).amax(1)


class Nothing(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


EXACT = {
    "nothing between": (lambda: chain(Nothing()), (3, 6, 6), 2),
    "relu": (lambda: chain(nn.ReLU()), (3, 6, 6), 2),
    "leaky relu": (lambda: chain(nn.LeakyReLU(0.1)), (3, 6, 6), 2),
    "prelu": (lambda: chain(nn.PReLU(8)), (3, 6, 6), 2),
    "no bias": (
        lambda: uneven(nn.Sequential(nn.Conv2d(3, 5, 3, bias=False), nn.ReLU(), nn.Conv2d(5, 2, 1))),
        (3, 6, 6),
        1,
    ),
    "groups": (
        lambda: uneven(nn.Sequential(nn.Conv2d(4, 8, 1), nn.ReLU(), nn.Conv2d(8, 6, 3, groups=2), nn.Conv2d(6, 4, 1))),
        (4, 6, 6),
        2,
    ),
    "several outputs for each depthwise channel": (
        lambda: uneven(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 12, 3, groups=4))),
        (3, 6, 6),
        1,
    ),
    "padding and pooling": (
        lambda: uneven(
            nn.Sequential(
                nn.Conv2d(3, 6, 3),
                nn.ReLU(),
                nn.ZeroPad2d((0, 1, 0, 1)),
                nn.MaxPool2d(2),
                nn.AvgPool2d(2),
                nn.Conv2d(6, 4, 1),
            )
        ),
        (3, 10, 10),
        1,
    ),
    "flattening": (
        lambda: uneven(nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 16, 4))),
        (3, 6, 6),
        1,
    ),
    "global pooling": (
        lambda: uneven(
            nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
        ),
        (3, 6, 6),
        1,
    ),
    "one dimension": (
        lambda: uneven(nn.Sequential(nn.Conv1d(3, 6, 3), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(6, 4, 1))),
        (3, 12),
        1,
    ),
    "linear layers on tokens": (lambda: uneven(nn.Sequential(nn.Linear(7, 9), nn.ReLU(), nn.Linear(9, 3))), (5, 7), 1),
}


@pytest.mark.parametrize("build, shape, pairs", EXACT.values(), ids=EXACT)
def test_channels_meet_in_the_middle_and_answers_stay(
    load: Load, build: Callable[[], nn.Module], shape: tuple[int, ...], pairs: int
) -> None:
    model = load(build, shape)
    before = model.fingerprint
    equalized = equalize(model)
    assert len(equalized.pairs) == pairs
    inputs = images(*shape)
    assert relative_error(answers(model, inputs), answers(equalized.model, inputs)) < TOLERANCE
    assert [node.name for node in equalized.model.graph.graph.nodes] == [node.name for node in model.graph.graph.nodes]
    assert model.fingerprint == before != equalized.model.fingerprint


def test_the_scales_are_those_of_the_paper(load: Load) -> None:
    model = load(lambda: uneven(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))), (6,))
    first, second = largest(model, "0.weight", 0), largest(model, "2.weight", 1)
    equalized = equalize(model)
    expected = (first * second).sqrt() / second  # equation 11
    np.testing.assert_allclose(equalized.pairs[0].scales, expected, rtol=1e-5)  # float32
    for path, axis in (("0.weight", 0), ("2.weight", 1)):
        np.testing.assert_allclose(largest(equalized.model, path, axis), (first * second).sqrt(), rtol=1e-5)


def test_a_chain_is_gone_over_until_both_pairs_are_even(load: Load) -> None:
    equalized = equalize(load(lambda: chain(nn.ReLU()), (3, 6, 6))).model
    # Rounds end once no scale moves by more than a thousandth, and the other pair of the chain moves after the first.
    np.testing.assert_allclose(largest(equalized, "0.weight", 0), largest(equalized, "2.weight", 0), rtol=5e-3)
    np.testing.assert_allclose(largest(equalized, "2.weight", 0), largest(equalized, "4.weight", 1), rtol=5e-3)


class TwoReaders(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.first(x))
        return y + self.second(y)


class OneWeightTwice(TwoReaders):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.first(torch.relu(self.first(x)))


class OtherAxis(nn.Module):
    """A linear layer that sums over the width of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 1), nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.relu(self.first(x)))


REFUSED = {
    "hard-swish": lambda: chain(nn.Hardswish()),
    "silu": lambda: chain(nn.SiLU()),
    "relu6": lambda: chain(nn.ReLU6()),
    "two readers": TwoReaders,
    "one weight twice": OneWeightTwice,
    "another axis": OtherAxis,
    "padding with ones": lambda: nn.Sequential(nn.Conv2d(3, 3, 1), nn.ConstantPad2d(1, 1.0), nn.Conv2d(3, 3, 1)),
    "one layer": lambda: nn.Conv2d(3, 3, 1),
}


@pytest.mark.parametrize("build", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_scaled_is_left_alone(load: Load, build: Callable[[], nn.Module]) -> None:
    model = load(build, (3, 6, 6))
    equalized = equalize(model)
    assert equalized.pairs == () and equalized.model is model
    assert "no pair" in equalized.notes[0]


def test_channels_that_are_zero_in_either_layer_keep_their_scale(load: Load) -> None:
    def build() -> nn.Module:
        net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 1))
        with torch.no_grad():
            net[0].weight[1] = 0
            net[2].weight[:, 4] = 0
        return net

    scales = equalize(load(build, (3, 6, 6))).pairs[0].scales
    assert [index for index, scale in enumerate(scales) if scale == 1] == [1, 4]


def test_scales_are_bounded(load: Load) -> None:
    def build() -> nn.Module:
        net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        with torch.no_grad():
            net[0].weight[1] *= 1e-12
            net[0].weight[2] *= 1e12
        return net

    scales = equalize(load(build, (3,))).pairs[0].scales
    assert scales[1:3] == (1 / LARGEST_SCALE, LARGEST_SCALE)


def clipped() -> nn.Module:
    return chain(nn.ReLU6())


def test_a_limit_per_channel_keeps_what_relu6_computes(load: Load) -> None:
    model = load(clipped, (3, 6, 6))
    equalized = equalize(model, Relu6.CLIP)
    assert len(equalized.pairs) == 2
    assert sum("minimum" in node.name for node in equalized.model.graph.graph.nodes) == 2
    inputs = images(3, 6, 6, scale=10)  # far into the clipping
    assert relative_error(answers(model, inputs), answers(equalized.model, inputs)) < TOLERANCE
    assert "one more op" in equalized.notes[1]


def test_relu_instead_of_relu6_is_what_the_net_would_be_with_relu(load: Load) -> None:
    equalized = equalize(load(clipped, (3, 6, 6)), Relu6.RELU)
    plain = load(lambda: chain(nn.ReLU()), (3, 6, 6))
    inputs = images(3, 6, 6, scale=10)
    assert relative_error(answers(plain, inputs), answers(equalized.model, inputs)) < TOLERANCE
    assert "answers change" in equalized.notes[1]


@pytest.mark.parametrize("relu6", [Relu6.CLIP, Relu6.RELU])
def test_an_opened_model_is_stored_under_its_own_names(load: Load, relu6: Relu6, tmp_path: Path) -> None:
    equalized = equalize(load(clipped, (3, 6, 6)), relu6).model
    save(equalized, tmp_path)
    restored = restore(tmp_path)  # fails where names or weights differ
    assert restored.output == equalized.output


def test_what_a_batch_norm_knew_is_scaled_along(load: Load) -> None:
    model = load(lambda: nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 1)), (3, 8, 8))
    equalized = equalize(model)
    scales = np.array(equalized.pairs[0].scales)
    before, after = (
        norm_statistics(next(node for node in one.graph.graph.nodes if node.name == "conv2d"))
        for one in (model, equalized.model)
    )
    assert before is not None and after is not None
    # Statistics are kept to six digits.
    np.testing.assert_allclose(after.std * scales, before.std, rtol=1e-5)
    np.testing.assert_allclose(after.mean * scales, before.mean, rtol=1e-5, atol=1e-7)


def skewed() -> nn.Module:
    """Two layers between which the scales of channels were moved the wrong way."""
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 6, 1))
    sizes = torch.logspace(-2, 2, 8)
    with torch.no_grad():
        net[0].weight.mul_(sizes.reshape(-1, 1, 1, 1))
        net[0].bias.mul_(sizes)
        net[2].weight.div_(sizes.reshape(1, -1, 1, 1))
    return net


def test_one_scale_per_weight_is_enough_for_an_equalized_model(load: Load) -> None:
    model = load(skewed, (3, 6, 6))
    samples = [images(3, 6, 6).numpy()]
    floats = answers(model, torch.from_numpy(samples[0])).numpy()

    def noise(of: LoadedModel) -> float:
        statistics = calibrate(of.graph, samples, place(of.graph).tensors)
        recipe = Recipe(granularity=Granularity.PER_TENSOR)
        plan = int8_plan(of, statistics, data_fingerprint="", samples=4, recipe=recipe)
        return float(np.square(simulate(of, plan, Scheme.AFFINE, samples) - floats).mean())

    # Channels lie four decades apart, of which eight bits can tell two; a factor of a hundred is far from either side.
    assert noise(equalize(model).model) < noise(model) / 100


def test_a_changed_answer_is_an_error(load: Load) -> None:
    model = load(lambda: nn.Linear(3, 4), (3,))
    weight = get_tensor(model.graph, "weight") * 1.01
    with pytest.raises(ModelError, match=r"The test changed the output of small by 0\.0"):
        prove_same(model, with_weights(model, {"weight": weight}), "The test")
