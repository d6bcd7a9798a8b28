"""What compresses a model takes one with several inputs: a sample is one row, apart where the graph is run."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pocketfit.compress.compact.low_rank import factorise
from pocketfit.compress.distill import DistillationRecipe, distill
from pocketfit.compress.prune.channels import prune_channels
from pocketfit.compress.prune.recipe import ChannelRecipe, Importance
from pocketfit.compress.quantize.gptq import gptq
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.graph.running import arguments, run_graph
from pocketfit.testing import case_of
from pocketfit.testing.models import ThreeInputs
from pocketfit.types import LoadedModel, Precision, Samples, Scheme, Variant


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return case_of(ThreeInputs).model


@pytest.fixture(scope="module")
def rows(model: LoadedModel) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((32, *model.row_shape)).astype(np.float32)


@pytest.mark.parametrize("importance", [Importance.OBS, Importance.TAYLOR, Importance.L1])
def test_channels_leave(model: LoadedModel, rows: np.ndarray, importance: Importance) -> None:
    pruned = prune_channels(model, ChannelRecipe(macs=0.7, importance=importance), [rows[:16], rows[16:]])
    assert pruned.macs_after < pruned.macs_before
    assert [given.shape for given in pruned.model.inputs] == [given.shape for given in model.inputs]
    assert [given.name for given in pruned.model.inputs] == [given.name for given in model.inputs]


def test_layers_of_low_rank(model: LoadedModel, rows: np.ndarray) -> None:
    slim = factorise(model, 0.8, [rows], round_to=1)
    assert slim.model.row_shape == model.row_shape
    assert run_graph(slim.model.graph, [rows]).shape == (32, 6)


def test_training(model: LoadedModel, rows: np.ndarray) -> None:
    """A model whose weights were disturbed comes closer to the one that it learns from."""
    from pocketfit.models.weights import with_weights

    path = next(name for name, weight in model.graph.named_parameters() if weight.dim() == 2)
    disturbed = with_weights(model, {path: torch.zeros_like(model.graph.get_parameter(path))})
    trained = distill(disturbed, model, Samples(rows, None, None), DistillationRecipe(epochs=100)).model
    expected, before, after = (run_graph(one.graph, [rows]) for one in (model, disturbed, trained))
    assert np.square(after - expected).mean() < np.square(before - expected).mean() / 2


def test_int8_with_other_roundings(model: LoadedModel, rows: np.ndarray) -> None:
    plan = case_of(ThreeInputs).plans[Precision.INT8]
    expected = run_graph(model.graph, [rows])
    for made in (Variant(model, plan), gptq(model, plan, [rows])):
        got = simulate(made.model, made.plan, Scheme.AFFINE, [rows])
        # Five numbers of a few samples tell little of the state's range; inputs mistaken for one another give none.
        assert 10 * np.log10(np.square(expected).mean() / np.square(got - expected).mean()) > 12


def test_rows_are_taken_apart_in_order(model: LoadedModel) -> None:
    row = torch.arange(float(model.row_shape[0])).unsqueeze(0)
    before, after, state = arguments(model.graph, row)
    assert (float(before[0, 0, 0, 0]), float(after[0, 0, 0, 0])) == (0, 3 * 16 * 16)
    assert state.tolist() == [[1536, 1537, 1538, 1539, 1540]]
