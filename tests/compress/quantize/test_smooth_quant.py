from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from pocketfit.compress.quantize.calibrate import calibrate
from pocketfit.compress.quantize.placement import place
from pocketfit.compress.quantize.plan import int8_plan
from pocketfit.compress.quantize.same_function import TOLERANCE
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.compress.quantize.smooth_quant import smooth
from pocketfit.errors import OptionError
from pocketfit.graph.attributes import get_tensor
from pocketfit.graph.base import relative_error
from pocketfit.types import LoadedModel, Scheme

Load = Callable[[Callable[[], nn.Module], tuple[int, ...]], LoadedModel]
TOKENS, WIDTH = 6, 16


class Block(nn.Module):
    """Attention and a perceptron whose layer normalisations write outliers, as those of large transformers do."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_norm, self.norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.up, self.down = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        with torch.no_grad():
            for norm, readers in (
                (self.attention_norm, (self.query, self.key, self.value)),
                (self.norm, (self.up,)),
            ):
                norm.weight[3] = 80.0
                for reader in readers:
                    reader.weight[:, 3] /= 80.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.attention_norm(x)
        scores = self.query(y) @ self.key(y).transpose(1, 2) * 0.25
        x = x + scores.softmax(-1) @ self.value(y)
        return x + self.down(torch.relu(self.up(self.norm(x))))


@pytest.fixture(scope="module")
def transformer(load: Load) -> LoadedModel:
    return load(Block, (TOKENS, WIDTH))


@pytest.fixture(scope="module")
def tokens() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(8, TOKENS, WIDTH)).astype(np.float32) for _ in range(2)]


def answers(model: LoadedModel, samples: list[np.ndarray]) -> np.ndarray:
    with torch.no_grad():
        return np.concatenate([model.graph(torch.from_numpy(batch)).numpy() for batch in samples])


def sqnr(model: LoadedModel, samples: list[np.ndarray], expected: np.ndarray) -> float:
    statistics = calibrate(model.graph, samples, place(model.graph).tensors)
    plan = int8_plan(model, statistics, data_fingerprint="", samples=16)
    noise = np.square(simulate(model, plan, Scheme.AFFINE, samples) - expected).sum()
    return float(10 * np.log10(np.square(expected).sum() / noise))


def test_answers_stay_and_every_normalisation_is_smoothed(transformer: LoadedModel, tokens: list[np.ndarray]) -> None:
    smoothed = smooth(transformer, tokens)
    assert [tensor.readers for tensor in smoothed.tensors] == [("linear", "linear_1", "linear_2"), ("linear_3",)]
    error = relative_error(*(torch.from_numpy(answers(one, tokens)) for one in (transformer, smoothed.model)))
    assert error < TOLERANCE
    names = [[node.name for node in one.graph.graph.nodes] for one in (transformer, smoothed.model)]
    assert names[0] == names[1]
    assert "alpha 0.5" in smoothed.notes[0]


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_the_scales_are_those_of_the_paper(transformer: LoadedModel, tokens: list[np.ndarray], alpha: float) -> None:
    graph = transformer.graph
    with torch.no_grad():
        normed = nn.functional.layer_norm(
            torch.from_numpy(np.concatenate(tokens)),
            (WIDTH,),
            get_tensor(graph, "attention_norm.weight"),
            get_tensor(graph, "attention_norm.bias"),
        )
    activation = normed.abs().amax((0, 1))
    weight = torch.cat([get_tensor(graph, f"{name}.weight") for name in ("query", "key", "value")]).abs().amax(0)
    scales = smooth(transformer, tokens, alpha).tensors[0].scales
    np.testing.assert_allclose(scales, activation**alpha / weight ** (1 - alpha), rtol=1e-5)  # equation 4, in float32


def test_outliers_no_longer_cost_resolution(transformer: LoadedModel, tokens: list[np.ndarray]) -> None:
    expected = answers(transformer, tokens)
    smoothed = smooth(transformer, tokens).model
    # One scale had to cover a channel eighty times larger than the others, that is six of eight bits, 38 dB; 10 dB is
    # what has to be left of them after the residual sums, which are quantized as before.
    assert sqnr(smoothed, tokens, expected) > sqnr(transformer, tokens, expected) + 10


def test_the_best_alpha_is_taken(transformer: LoadedModel, tokens: list[np.ndarray]) -> None:
    best = smooth(transformer, tokens, alpha=None)
    assert best.alpha is not None and f"alpha {best.alpha:g}" in best.notes[0]
    assert "without smoothing" in best.notes[1]


def test_smoothing_that_does_not_help_is_left_out(load: Load, tokens: list[np.ndarray]) -> None:
    model = load(lambda: nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 4)), (TOKENS, WIDTH))
    constant = [np.zeros_like(batch) for batch in tokens]  # nothing to gain: every answer is the bias
    smoothed = smooth(model, constant, alpha=None)
    assert smoothed.model is model and smoothed.alpha is None and smoothed.tensors == ()
    assert "left out" in smoothed.notes[0]


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale, self.beside = nn.Parameter(torch.ones(WIDTH)), nn.Linear(WIDTH, 4)
        self.first, self.second = nn.Linear(WIDTH, 2), nn.Linear(2, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # Two readers keep the product from being folded, and a narrow middle the two layers from being merged.
        scaled = torch.sigmoid(x) * self.scale
        return self.second(self.first(scaled)) + self.beside(scaled)


def test_products_with_constants_and_linear_layers_can_be_divided(load: Load, tokens: list[np.ndarray]) -> None:
    model = load(Scaled, (TOKENS, WIDTH))
    smoothed = smooth(model, tokens)
    assert [tensor.source for tensor in smoothed.tensors] == ["mul", "linear"]
    error = relative_error(*(torch.from_numpy(answers(one, tokens)) for one in (model, smoothed.model)))
    assert error < TOLERANCE


class TwoReaders(nn.Module):
    """What is normalised is read by more than linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x)
        return y + self.linear(y)


REFUSED = {
    "another reader": TwoReaders,
    "nothing to divide": lambda: nn.Sequential(nn.LayerNorm(WIDTH, elementwise_affine=False), nn.Linear(WIDTH, 4)),
    "an activation between": lambda: nn.Sequential(nn.LayerNorm(WIDTH), nn.GELU(), nn.Linear(WIDTH, 4)),
}


@pytest.mark.parametrize("build", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_divided_is_left_alone(
    load: Load, build: Callable[[], nn.Module], tokens: list[np.ndarray]
) -> None:
    model = load(build, (TOKENS, WIDTH))
    smoothed = smooth(model, tokens)
    assert smoothed.model is model and smoothed.alpha is None
    assert "no tensor" in smoothed.notes[0]


def test_channels_without_activation_or_weight_keep_their_scale(load: Load, tokens: list[np.ndarray]) -> None:
    def build() -> nn.Module:
        net = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 4))
        with torch.no_grad():
            net[0].weight[2] = 0
            net[1].weight[:, 5] = 0
        return net

    scales = smooth(load(build, (TOKENS, WIDTH)), tokens).tensors[0].scales
    assert [index for index, scale in enumerate(scales) if scale == 1] == [2, 5]


@pytest.mark.parametrize("alpha", [-0.1, 1.5])
def test_alpha_is_a_share(transformer: LoadedModel, tokens: list[np.ndarray], alpha: float) -> None:
    with pytest.raises(OptionError, match=f"alpha is {alpha}. Allowed: 0"):
        smooth(transformer, tokens, alpha)
