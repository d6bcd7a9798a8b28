from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from pocketfit.compress.quantize.adaround import adaround
from pocketfit.compress.quantize.calibrate import calibrate
from pocketfit.compress.quantize.gptq import gptq
from pocketfit.compress.quantize.lower import integer_weight
from pocketfit.compress.quantize.placement import place
from pocketfit.compress.quantize.plan import int8_plan
from pocketfit.compress.quantize.recipe import Recipe
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.graph.attributes import get_tensor
from pocketfit.types import LoadedModel, QuantizationPlan, Scheme, Variant

Load = Callable[[Callable[[], nn.Module], tuple[int, ...]], LoadedModel]


def planned(model: LoadedModel, samples: list[np.ndarray]) -> QuantizationPlan:
    statistics = calibrate(model.graph, samples, place(model.graph).tensors)
    return int8_plan(model, statistics, data_fingerprint="", samples=32, recipe=Recipe(weight_bits=4))


def smooth(shape: tuple[int, ...], count: int = 8, seed: int = 0) -> list[np.ndarray]:
    """Batches of four whose neighbouring values are alike."""
    rng = np.random.default_rng(seed)
    batches = rng.normal(size=(count, 4, *shape))
    for axis in range(2, batches.ndim):
        batches = batches + np.roll(batches, 1, axis)
    return list(batches.astype(np.float32))


def error(model: LoadedModel, variant: Variant, scheme: Scheme, samples: list[np.ndarray]) -> float:
    floats = np.concatenate([model.graph(torch.from_numpy(batch)).detach().numpy() for batch in samples])
    return float(np.square(simulate(variant.model, variant.plan, scheme, samples) - floats).mean())


def weight_of(variant: Variant, name: str) -> torch.Tensor:
    return get_tensor(variant.model.graph, variant.plan.layers[name].weight)


BUILDS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], str]] = {
    "convolution": (lambda: nn.Sequential(nn.Conv2d(3, 6, 1), nn.Conv2d(6, 8, 3), nn.ReLU6()), (3, 9, 9), "conv2d_1"),
    "grouped": (lambda: nn.Sequential(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 8, 3, groups=2)), (4, 9, 9), "conv2d_1"),
    "linear": (lambda: nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 6)), (5, 16), "linear_1"),
}


@pytest.mark.parametrize("kind", BUILDS)
def test_a_layer_loses_less_than_by_rounding_to_nearest(load: Load, kind: str) -> None:
    build, shape, name = BUILDS[kind]
    model, samples, fresh = load(build, shape), smooth(shape), smooth(shape, seed=1)
    plan = planned(model, samples)
    variant = adaround(model, plan, samples, layers=[name], iterations=200)
    for scheme in Scheme:
        assert error(model, variant, scheme, fresh) < 0.95 * error(model, Variant(model, plan), scheme, fresh)


def test_weights_are_on_the_grid_and_the_other_layers_as_before(model: LoadedModel) -> None:
    samples = smooth((3, 12, 12))
    plan = planned(model, samples)
    name = list(plan.layers)[2]
    done: list[tuple[int, int]] = []
    variant = adaround(model, plan, samples, layers=[name], iterations=200, progress=lambda *args: done.append(args))
    assert done == [(1, 1)]
    assert variant.plan.model_fingerprint == variant.model.fingerprint
    layer = variant.plan.layers[name]
    integers = integer_weight(weight_of(variant, name), layer)
    assert integers.abs().max() <= 7
    assert torch.equal(weight_of(variant, name), integers * torch.tensor(layer.weight_scales).reshape(-1, 1, 1, 1))
    before = Variant(model, plan)
    assert [one for one in plan.layers if not torch.equal(weight_of(before, one), weight_of(variant, one))] == [name]


def test_the_same_in_every_run(model: LoadedModel, samples: list[np.ndarray]) -> None:
    plan = planned(model, samples)
    name = list(plan.layers)[2]
    first, second = (adaround(model, plan, samples, layers=[name], iterations=20) for _ in range(2))
    assert first.plan == second.plan


def test_it_takes_up_what_gptq_left(load: Load) -> None:
    build, shape, name = BUILDS["convolution"]
    model, samples = load(build, shape), smooth(shape)
    rounded = gptq(model, planned(model, samples), samples)
    variant = adaround(rounded.model, rounded.plan, samples, layers=[name], iterations=200, reference=model.graph)
    assert torch.equal(weight_of(variant, "conv2d"), weight_of(rounded, "conv2d"))
    # Only what is better on held-back positions is taken; fresh samples may see a little of the difference to them.
    fresh = smooth(shape, seed=1)
    assert error(model, variant, Scheme.AFFINE, fresh) < 1.05 * error(model, rounded, Scheme.AFFINE, fresh)


@pytest.mark.parametrize("factor", [0, 1e-6])
def test_inputs_of_nothing_are_safe(load: Load, factor: float) -> None:
    build, shape, name = BUILDS["convolution"]
    model = load(build, shape)
    samples = [np.float32(factor) * batch for batch in smooth(shape)]
    variant = adaround(model, planned(model, samples), samples, layers=[name], iterations=20)
    assert torch.isfinite(weight_of(variant, name)).all()
    for scheme in Scheme:
        assert np.isfinite(simulate(variant.model, variant.plan, scheme, samples)).all()
