from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from pocketfit.compress.quantize import walk
from pocketfit.compress.quantize.bias_correction import correct_biases, sweep, with_biases
from pocketfit.compress.quantize.calibrate import calibrate
from pocketfit.compress.quantize.divergence import decibel
from pocketfit.compress.quantize.placement import place
from pocketfit.compress.quantize.plan import int8_plan
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.types import LoadedModel, QuantizationPlan, Scheme

Load = Callable[[Callable[[], nn.Module], tuple[int, ...]], LoadedModel]


def planned(model: LoadedModel, samples: list[np.ndarray]) -> QuantizationPlan:
    statistics = calibrate(model.graph, samples, place(model.graph).tensors)
    return int8_plan(model, statistics, data_fingerprint="", samples=sum(map(len, samples)))


def coarse(plan: QuantizationPlan, layer: str, factor: float) -> QuantizationPlan:
    """The plan with a layer's weights rounded to so coarse a grid that its output shifts."""
    scales = tuple(scale * factor for scale in plan.layers[layer].weight_scales)
    return replace(plan, layers={**plan.layers, layer: replace(plan.layers[layer], weight_scales=scales)})


def outputs(model: LoadedModel, samples: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([model.graph(torch.from_numpy(batch)).detach().numpy() for batch in samples])


def brightness(mean: float, count: int = 6) -> list[np.ndarray]:
    """Batches of images with that mean, which rounded weights turn into a shift of the output."""
    rng = np.random.default_rng(0)
    return [rng.normal(mean, 0.1, (4, 3, 8, 8)).astype(np.float32) for _ in range(count)]


@pytest.mark.parametrize("build", [lambda: nn.Conv2d(3, 6, 3), lambda: nn.Conv2d(3, 6, 3, bias=False)])
def test_the_mean_error_of_a_shifted_layer_vanishes(load: Load, build: Callable[[], nn.Module]) -> None:
    model, samples = load(build, (3, 8, 8)), brightness(1.0)
    plan = coarse(planned(model, samples), "conv2d", 20)
    floats = outputs(model, samples)
    corrected = with_biases(plan, Scheme.SYMMETRIC, sweep(model.graph, plan, Scheme.SYMMETRIC, samples).biases)

    def shift(of: QuantizationPlan) -> np.ndarray:
        return (simulate(model, of, Scheme.SYMMETRIC, samples) - floats).mean((0, 2, 3))

    assert np.abs(shift(plan)).max() > 0.05
    # Symmetric layers give float32, so nothing but its rounding is left of the shift.
    np.testing.assert_allclose(shift(corrected), 0, atol=1e-5)


def test_a_linear_layer_is_corrected_along_its_last_axis(load: Load) -> None:
    model = load(lambda: nn.Linear(7, 4), (5, 7))
    samples = [np.random.default_rng(0).normal(1, 0.1, (4, 5, 7)).astype(np.float32)]
    plan = coarse(planned(model, samples), "linear", 20)
    walked = sweep(model.graph, plan, Scheme.SYMMETRIC, samples)
    assert len(walked.biases["linear"]) == 4
    corrected = with_biases(plan, Scheme.SYMMETRIC, walked.biases)
    error = simulate(model, corrected, Scheme.SYMMETRIC, samples) - outputs(model, samples)
    np.testing.assert_allclose(error.mean((0, 1)), 0, atol=1e-5)  # float32


@pytest.mark.parametrize("scheme", Scheme)
def test_later_layers_are_corrected_for_what_earlier_ones_leave(load: Load, scheme: Scheme) -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 6, 3), nn.Hardswish(), nn.Conv2d(6, 6, 3), nn.Conv2d(6, 6, 3))

    model, samples = load(build, (3, 8, 8)), brightness(1.0)
    plan = planned(model, samples)
    for layer in ("conv2d", "conv2d_1", "conv2d_2"):
        plan = coarse(plan, layer, 12)
    corrected, _ = correct_biases(model, plan, samples)
    floats = outputs(model, samples)

    def shift(of: QuantizationPlan) -> float:
        return float(np.abs((simulate(model, of, scheme, samples) - floats).mean((0, 2, 3))).max())

    # The last quarter of the samples, held back, and the INT8 output of the affine scheme leave a rest.
    assert shift(corrected) < shift(plan) / 5


def test_a_correction_that_does_harm_is_left_out(load: Load) -> None:
    model = load(lambda: nn.Conv2d(3, 6, 3), (3, 8, 8))
    # What shifts bright images up shifts their negatives down, so the correction doubles the error on those.
    samples = [*brightness(1.0, 6), *(-batch for batch in brightness(1.0, 2))]
    plan = coarse(planned(model, samples), "conv2d", 20)
    corrected, quality = correct_biases(model, plan, samples)
    assert all(layer.bias == {} for layer in corrected.layers.values())
    assert [note for note in corrected.notes if "left out" in note] == list(corrected.notes)
    assert len(corrected.notes) == len(Scheme)
    # What is shown is then the quality without a correction.
    for scheme in Scheme:
        plain = sweep(model.graph, plan, scheme, samples[:6], correct=False)
        assert quality[scheme] == plain.quality


def test_a_correction_that_helps_is_noted(load: Load) -> None:
    model, samples = load(lambda: nn.Conv2d(3, 6, 3), (3, 8, 8)), brightness(1.0, 8)
    corrected, _ = correct_biases(model, coarse(planned(model, samples), "conv2d", 20), samples)
    assert set(corrected.layers["conv2d"].bias) == set(Scheme)
    assert all("→" in note and "held-back" in note for note in corrected.notes)


def test_the_quality_of_every_layer_comes_in_the_order_of_the_graph(
    model: LoadedModel, plan: QuantizationPlan, samples: list[np.ndarray]
) -> None:
    done: list[int] = []
    corrected, quality = correct_biases(model, plan, samples, done.append)
    assert list(quality) == list(Scheme)
    for layers in quality.values():
        assert [layer.name for layer in layers] == list(plan.layers)
        assert [layer.source for layer in layers] == [layer.source for layer in plan.layers.values()]
        assert all(15 < layer.sqnr_db < 60 for layer in layers)  # eight bits: some 40 dB, less after several layers
    assert done == [32, 32]
    assert replace(corrected, layers=plan.layers, notes=()) == plan  # nothing but biases and notes has changed


def test_quality_is_measured_with_everything_before_a_layer_quantized(
    model: LoadedModel, plan: QuantizationPlan, samples: list[np.ndarray]
) -> None:
    spoilt = coarse(plan, "conv2d", 30)
    plain = {one.name: one.sqnr_db for one in sweep(model.graph, plan, Scheme.AFFINE, samples).quality}
    after = {one.name: one.sqnr_db for one in sweep(model.graph, spoilt, Scheme.AFFINE, samples).quality}
    assert all(after[name] < plain[name] - 3 for name in plan.layers)


def test_all_samples_take_part_where_memory_allows(
    model: LoadedModel, plan: QuantizationPlan, samples: list[np.ndarray]
) -> None:
    assert sweep(model.graph, plan, Scheme.AFFINE, samples).samples == 32


def test_fewer_samples_are_taken_where_memory_does_not(
    model: LoadedModel, plan: QuantizationPlan, samples: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The largest live set is about 8 channels of 6x6 four times, float32, in both graphs: some 10 kB a sample.
    monkeypatch.setattr(walk, "MEMORY_BYTES", 200_000)
    some = sweep(model.graph, plan, Scheme.AFFINE, samples).samples
    monkeypatch.setattr(walk, "MEMORY_BYTES", 1)
    assert sweep(model.graph, plan, Scheme.AFFINE, samples).samples == 4  # one batch, always
    assert 4 < some < 32
    assert some % 4 == 0


def test_few_batches_correct_and_judge_with_the_same(load: Load) -> None:
    model, samples = load(lambda: nn.Conv2d(3, 6, 3), (3, 8, 8)), brightness(1.0, 1)
    corrected, _ = correct_biases(model, coarse(planned(model, samples), "conv2d", 20), samples)
    assert Scheme.AFFINE in corrected.layers["conv2d"].bias


class Hidden(nn.Module):
    """A ReLU that hides most of a channel: the mean before it says little about the mean after it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        with torch.no_grad():
            self.conv.bias -= 1.5 * self.conv.weight.sum((1, 2, 3)).abs()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv(x))


def test_a_correction_is_judged_after_the_relu_that_follows(load: Load) -> None:
    model, samples = load(Hidden, (3, 8, 8)), brightness(0.5)
    plan = coarse(planned(model, samples), "conv2d", 20)
    corrected = with_biases(plan, Scheme.SYMMETRIC, sweep(model.graph, plan, Scheme.SYMMETRIC, samples).biases)
    floats = outputs(model, samples)

    def error(of: QuantizationPlan) -> np.ndarray:
        return np.square(simulate(model, of, Scheme.SYMMETRIC, samples) - floats).mean((0, 2, 3))

    assert (error(corrected) <= error(plan) + 1e-9).all()  # no channel loses, whatever the ReLU hides
    assert error(corrected).sum() < error(plan).sum()


def test_decibel() -> None:
    assert decibel(100, 1) == 20
    assert decibel(1, 0) == float("inf")
    assert decibel(0, 1) < -200
