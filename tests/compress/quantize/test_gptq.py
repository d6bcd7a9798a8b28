from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from pocketfit.compress.quantize.calibrate import calibrate
from pocketfit.compress.quantize.gptq import gptq, round_columns
from pocketfit.compress.quantize.lower import integer_weight
from pocketfit.compress.quantize.placement import place
from pocketfit.compress.quantize.plan import int8_plan
from pocketfit.compress.quantize.recipe import Granularity, Recipe
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.graph.attributes import get_tensor
from pocketfit.types import LoadedModel, QuantizationPlan, Scheme, Variant

Load = Callable[[Callable[[], nn.Module], tuple[int, ...]], LoadedModel]


def planned(model: LoadedModel, samples: list[np.ndarray], recipe: Recipe | None = None) -> QuantizationPlan:
    statistics = calibrate(model.graph, samples, place(model.graph).tensors)
    return int8_plan(model, statistics, data_fingerprint="", samples=32, recipe=recipe or Recipe())


def four_bits(plan: QuantizationPlan, model: LoadedModel) -> QuantizationPlan:
    """Four bits in every layer, also in the first, with scales that just hold the largest weight."""
    layers = {}
    for name, layer in plan.layers.items():
        rows = get_tensor(model.graph, layer.weight).flatten(1).abs().amax(1)
        scales = tuple((rows / 7).clamp_min(1e-6).tolist())
        layers[name] = replace(layer, weight_bits=4, weight_scales=scales)
    return replace(plan, layers=layers)


def related(shape: tuple[int, ...], count: int = 8, seed: int = 0) -> list[np.ndarray]:
    """Batches of four whose neighbouring values are alike, as those of real data are; GPTQ lives on that."""
    rng = np.random.default_rng(seed)
    batches = rng.normal(size=(count, 4, *shape))
    for axis in range(2, batches.ndim):
        batches = batches + np.roll(batches, 1, axis)
    return list(batches.astype(np.float32))


def outputs(model: LoadedModel, samples: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([model.graph(torch.from_numpy(batch)).detach().numpy() for batch in samples])


def error(floats: np.ndarray, variant: Variant, scheme: Scheme, samples: list[np.ndarray]) -> float:
    return float(np.square(simulate(variant.model, variant.plan, scheme, samples) - floats).mean())


def rounded(model: LoadedModel, variant: Variant) -> list[str]:
    """Layers whose weights are other than the model's."""
    paths = {name: layer.weight for name, layer in variant.plan.layers.items()}
    return [
        name
        for name, path in paths.items()
        if not torch.equal(get_tensor(model.graph, path), get_tensor(variant.model.graph, path))
    ]


def assert_on_grid(variant: Variant, names: list[str]) -> None:
    assert names
    for name in names:
        layer = variant.plan.layers[name]
        weight = get_tensor(variant.model.graph, layer.weight)
        scales = torch.tensor(layer.weight_scales).reshape(-1, *[1] * (weight.ndim - 1))
        integers = integer_weight(weight, layer)
        assert integers.abs().max() <= (7 if layer.weight_bits == 4 else 127)
        assert torch.equal(weight, integers * scales)


BUILDS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "convolution": (lambda: nn.Conv2d(3, 8, 3, stride=2, padding=1), (3, 9, 9)),
    "dilated": (lambda: nn.Conv2d(3, 8, (3, 2), padding=(2, 0), dilation=(2, 1), bias=False), (3, 9, 9)),
    "grouped": (lambda: nn.Conv2d(4, 8, 3, groups=2), (4, 9, 9)),
    "depthwise": (lambda: nn.Conv2d(4, 4, 3, padding=1, groups=4), (4, 9, 9)),
    "one-dimensional": (lambda: nn.Conv1d(4, 6, 3, padding=1), (4, 20)),
    "linear": (lambda: nn.Linear(24, 6), (24,)),
    "linear on sequences": (lambda: nn.Linear(12, 6), (5, 12)),
    "before a relu": (lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), (3, 9, 9)),
}


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("kind", BUILDS)
def test_four_bits_lose_less_than_by_rounding_to_nearest(load: Load, kind: str, scheme: Scheme) -> None:
    build, shape = BUILDS[kind]
    model, samples = load(build, shape), related(shape, 32)
    plan = four_bits(planned(model, samples), model)
    variant = gptq(model, plan, samples, scheme=scheme)
    fresh = related(shape, seed=1)
    floats = outputs(model, fresh)
    for judged in Scheme:  # the other scheme, too, deploys these weights
        assert error(floats, variant, judged, fresh) < 0.95 * error(floats, Variant(model, plan), judged, fresh)
    assert_on_grid(variant, rounded(model, variant))


def test_a_whole_network_loses_less(model: LoadedModel, samples: list[np.ndarray]) -> None:
    plan = planned(model, samples, Recipe(weight_bits=4))
    variant = gptq(model, plan, samples)
    rng = np.random.default_rng(1)
    fresh = [rng.normal(size=(32, 3, 12, 12)).astype(np.float32)]
    floats = outputs(model, fresh)
    for scheme in Scheme:
        assert error(floats, variant, scheme, fresh) < error(floats, Variant(model, plan), scheme, fresh)


def test_only_weights_scales_and_biases_change(model: LoadedModel, samples: list[np.ndarray]) -> None:
    plan = planned(model, samples, Recipe(weight_bits=4))
    done: list[tuple[int, int]] = []
    variant = gptq(model, plan, samples, progress=lambda *args: done.append(args))
    assert done == [(count + 1, len(plan.layers)) for count in range(len(plan.layers))]
    assert variant.plan.model_fingerprint == variant.model.fingerprint != model.fingerprint
    assert variant.plan.activations == plan.activations
    for name, layer in plan.layers.items():
        new = variant.plan.layers[name]
        assert replace(new, weight_scales=layer.weight_scales, bias=layer.bias) == layer
        assert set(new.bias) == set(Scheme) if name in rounded(model, variant) else {Scheme.SYMMETRIC}


def test_the_same_in_every_run(model: LoadedModel, samples: list[np.ndarray]) -> None:
    plan = planned(model, samples, Recipe(weight_bits=4))
    assert gptq(model, plan, samples).plan == gptq(model, plan, samples).plan


def test_layers_that_are_not_named_keep_their_numbers(model: LoadedModel, samples: list[np.ndarray]) -> None:
    plan = planned(model, samples, Recipe(weight_bits=4))
    name = list(plan.layers)[2]
    variant = gptq(model, plan, samples, layers=[name])
    changed = [
        one for one, layer in plan.layers.items() if layer.weight_scales != variant.plan.layers[one].weight_scales
    ]
    assert changed == [name]
    assert rounded(model, variant) == [name]
    assert [one for one, layer in variant.plan.layers.items() if Scheme.AFFINE in layer.bias] == [name]


def test_no_layer_named(model: LoadedModel, plan: QuantizationPlan, samples: list[np.ndarray]) -> None:
    assert gptq(model, plan, samples, layers=[]) == Variant(model, plan)


def test_one_scale_per_tensor_stays_one(model: LoadedModel, samples: list[np.ndarray]) -> None:
    plan = planned(model, samples, Recipe(granularity=Granularity.PER_TENSOR))
    variant = gptq(model, plan, samples)
    assert all(len(set(layer.weight_scales)) == 1 for layer in variant.plan.layers.values())
    assert_on_grid(variant, rounded(model, variant))


class Shared(nn.Module):
    """One weight, two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.last = nn.Conv2d(3, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.conv(torch.relu(self.conv(x))))


def test_a_weight_that_several_layers_read_is_left_alone(load: Load) -> None:
    model, samples = load(Shared, (3, 8, 8)), related((3, 8, 8))
    plan = planned(model, samples, Recipe(weight_bits=4))
    variant = gptq(model, plan, samples)
    shared, again, _ = plan.layers.values()
    assert shared.weight == again.weight
    assert rounded(model, variant) == [list(plan.layers)[2]]


def test_rounded_weights_are_rounded_anew_from_the_float_ones(model: LoadedModel, samples: list[np.ndarray]) -> None:
    plan = planned(model, samples, Recipe(weight_bits=4))
    first = gptq(model, plan, samples)
    second = gptq(first.model, first.plan, samples, reference=model.graph)
    floats = outputs(model, samples)
    # A layer is replaced only where it gains, so a second time does no more than follow other roundings.
    assert error(floats, second, Scheme.AFFINE, samples) < 1.2 * error(floats, first, Scheme.AFFINE, samples)
    assert_on_grid(second, rounded(model, second))


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("case", ["zero channel", "constant input", "zero input", "one sample", "dead weights"])
def test_degenerate_layers_are_safe(load: Load, case: str) -> None:
    def build() -> nn.Module:
        conv = nn.Conv2d(3, 8, 3)
        with torch.no_grad():
            if case == "zero channel":
                conv.weight[3] = 0
            elif case == "dead weights":
                conv.weight.zero_()
        return nn.Sequential(conv, nn.ReLU(), nn.Conv2d(8, 4, 1))

    model, samples = load(build, (3, 8, 8)), related((3, 8, 8))
    if case == "constant input":
        samples = [np.ones_like(batch) for batch in samples]
    elif case == "zero input":
        samples = [np.zeros_like(batch) for batch in samples]
    elif case == "one sample":
        samples = [samples[0][:1]]
    plan = four_bits(planned(model, samples), model)
    variant = gptq(model, plan, samples)
    floats = outputs(model, samples)
    for scheme in Scheme:
        assert np.isfinite(simulate(variant.model, variant.plan, scheme, samples)).all()
        assert error(floats, variant, scheme, samples) <= error(floats, Variant(model, plan), scheme, samples) + 1e-3
    assert all(scale > 0 for layer in variant.plan.layers.values() for scale in layer.weight_scales)


def test_a_layer_keeps_what_it_had_where_the_new_numbers_are_worse(load: Load) -> None:
    model = load(lambda: nn.Conv2d(3, 6, 3), (3, 8, 8))
    # What is fitted to bright images is wrong on their negatives, which are held back.
    bright, dark = related((3, 8, 8), 7), [-4 * batch for batch in related((3, 8, 8), 1)]
    samples = [*(0.01 * batch + 1 for batch in bright), *dark]
    samples = [batch.astype(np.float32) for batch in samples]
    plan = planned(model, samples)
    assert gptq(model, plan, samples) == Variant(model, plan)


def test_columns_make_up_for_each_other() -> None:
    # Two inputs that are always the same: 0.4 + 0.4 rounds to 0 + 1, not to 0 + 0.
    hessian = torch.ones(1, 2, 2, dtype=torch.float64) + 0.01 * torch.eye(2)
    weight = torch.full((1, 1, 2), 0.4, dtype=torch.float64)
    assert round_columns(weight, hessian, torch.ones(1, 1), 7).sum() == 1


def test_columns_of_unrelated_inputs_are_rounded_to_nearest() -> None:
    rng = torch.Generator().manual_seed(0)
    weight = torch.randn(2, 5, 300, generator=rng, dtype=torch.float64) * 4  # more columns than a block
    scales = torch.rand(2, 5, generator=rng) + 0.5
    hessian = torch.diag_embed(torch.rand(2, 300, generator=rng, dtype=torch.float64) + 0.01)
    nearest = (weight / scales.double().unsqueeze(2)).round().clamp(-7, 7)
    assert torch.equal(round_columns(weight, hessian, scales, 7), nearest.float())
