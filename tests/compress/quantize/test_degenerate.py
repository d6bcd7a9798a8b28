"""Networks that quantization must survive: dead channels, constants, nothing but zeros, tiny variances."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from pocketfit.compress.quantize.bias_correction import correct_biases
from pocketfit.compress.quantize.calibrate import calibrate
from pocketfit.compress.quantize.draft import Bench, Draft, draw
from pocketfit.compress.quantize.equalization import equalize
from pocketfit.compress.quantize.gptq import gptq
from pocketfit.compress.quantize.placement import place
from pocketfit.compress.quantize.ranges import Ranges
from pocketfit.compress.quantize.recipe import Levels, Recipe
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.types import LoadedModel, Scheme

Load = Callable[[Callable[[], nn.Module], tuple[int, ...]], LoadedModel]


def dead_channels() -> nn.Module:
    net = _net()
    with torch.no_grad():
        net[0].weight[2] = 0
        net[0].bias[2] = 0
        net[2].weight[:, 3] = 0
    return net


def constant_channels() -> nn.Module:
    net = _net()
    with torch.no_grad():
        net[0].weight[1] = 0.25
        net[2].weight[4] = -1.0
    return net


def nothing_but_zeros() -> nn.Module:
    net = _net()
    with torch.no_grad():
        net[0].weight.zero_()
        net[0].bias.fill_(-1.0)  # the ReLU lets nothing through
    return net


def tiny_variance() -> nn.Module:
    convolutions = (nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 1))
    net = nn.Sequential(*convolutions, nn.Flatten(), nn.LazyLinear(4))
    net(torch.zeros(2, 3, 6, 6))
    net[1].running_var.fill_(1e-12)
    return net


def _net() -> nn.Sequential:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4))
    net(torch.zeros(1, 3, 6, 6))
    return net


@pytest.fixture(params=[dead_channels, constant_channels, nothing_but_zeros, tiny_variance], ids=lambda f: f.__name__)
def bench(request: pytest.FixtureRequest, load: Load) -> Bench:
    model = load(request.param, (3, 6, 6))
    random = np.random.default_rng(0)
    samples = [random.normal(size=(4, 3, 6, 6)).astype(np.float32) for _ in range(4)]
    return Bench(
        model,
        samples,
        (Scheme.AFFINE,),
        lambda model: calibrate(model.graph, samples, place(model.graph).tensors),
        lambda variant: 0.0,
    )


def finite(bench: Bench, draft: Draft) -> bool:
    variant = draft.variant
    return all(
        bool(np.isfinite(simulate(variant.model, variant.plan, scheme, bench.samples)).all()) for scheme in Scheme
    )


@pytest.mark.parametrize("ranges", Ranges)
def test_every_range_method_gives_finite_answers(bench: Bench, ranges: Ranges) -> None:
    assert finite(bench, draw(bench, bench.model, Recipe(ranges=ranges)))


@pytest.mark.parametrize(
    "recipe", [Recipe(weight_bits=4), Recipe(activation_bits=16), Recipe(levels=Levels.POWER_OF_TWO)], ids=str
)
def test_every_kind_of_plan_gives_finite_answers(bench: Bench, recipe: Recipe) -> None:
    assert finite(bench, draw(bench, bench.model, recipe))


def test_every_repair_gives_finite_answers(bench: Bench) -> None:
    equalized = equalize(bench.model).model
    draft = draw(bench, equalized, Recipe(weight_bits=4))
    plan, _ = correct_biases(equalized, draft.variant.plan, bench.samples)
    variant = gptq(equalized, plan, bench.samples)
    assert np.isfinite(simulate(variant.model, variant.plan, Scheme.AFFINE, bench.samples)).all()
