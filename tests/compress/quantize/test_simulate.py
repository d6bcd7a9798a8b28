from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from pocketfit.compress.quantize.calibrate import calibrate
from pocketfit.compress.quantize.placement import place
from pocketfit.compress.quantize.plan import float_plan, int8_plan
from pocketfit.compress.quantize.simulate import simulate, simulation_graph
from pocketfit.graph.attributes import get_tensor
from pocketfit.types import LoadedModel, Precision, QuantizationPlan, Scheme

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
