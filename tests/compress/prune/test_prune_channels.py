"""Models with fewer channels: under the budget, rounded, saved, and better for being fitted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pocketfit.compress.prune.allocate import Allocation
from pocketfit.compress.prune.channels import plan_channels, prune_channels
from pocketfit.compress.prune.dependencies import find_dependencies
from pocketfit.compress.prune.obs import rank_by_surgery, reading_slots
from pocketfit.compress.prune.recipe import ChannelRecipe, Importance
from pocketfit.compress.prune.statistics import readers
from pocketfit.errors import DataError, OptionError
from pocketfit.models.store import write_program
from pocketfit.types import LoadedModel

Models = Callable[[str], LoadedModel]


@pytest.fixture(scope="module")
def batches() -> list[np.ndarray]:
    # Smooth images: neighbouring pixels agree, so that channels can stand for each other.
    coarse = torch.randn(128, 3, 2, 2, generator=torch.Generator().manual_seed(2))
    images = torch.nn.functional.interpolate(coarse, (8, 8), mode="bilinear").numpy()
    return [images[:64], images[64:]]


@pytest.mark.parametrize("allocation", list(Allocation))
@pytest.mark.parametrize("importance", list(Importance))
def test_every_importance_meets_the_budget(
    models: Models, batches: list[np.ndarray], importance: Importance, allocation: Allocation
) -> None:
    recipe = ChannelRecipe(0.6, importance, allocation, round_to=4, refit=False)
    pruned = plan_channels(models("residual"), recipe, batches)
    assert 0.3 * pruned.macs_before < pruned.macs_after <= 0.6 * pruned.macs_before
    assert all(layer.after % 4 == 0 and layer.after > 0 for layer in pruned.layers)


@pytest.mark.parametrize("name", ["residual", "shuffle", "attention", "recurrent"])
def test_a_pruned_model_is_an_ordinary_export(
    models: Models, batches: list[np.ndarray], name: str, tmp_path: Path
) -> None:
    pruned = prune_channels(models(name), ChannelRecipe(0.7, round_to=1), batches).model
    write_program(pruned, tmp_path / "pruned.pt2")
    example = torch.from_numpy(batches[0][:2])
    loaded = torch.export.load(tmp_path / "pruned.pt2").module()
    # The same graph in the same library; nothing may differ.
    assert torch.equal(loaded(example), pruned.graph(example))


def test_fitting_what_is_left_makes_up_for_most_of_the_loss(models: Models, batches: list[np.ndarray]) -> None:
    model = models("residual")
    example = torch.from_numpy(batches[0])
    expected = model.graph(example)
    errors = []
    for refit in (False, True):
        recipe = ChannelRecipe(0.6, Importance.L1, Allocation.UNIFORM, round_to=1, refit=refit)
        pruned = prune_channels(model, recipe, batches).model
        errors.append(float((pruned.graph(example) - expected).square().mean()))
    # It leaves a few percent here; a half leaves room for other rounding.
    assert errors[1] < 0.5 * errors[0]


def test_the_first_unit_is_the_one_that_least_squares_misses_least(models: Models, batches: list[np.ndarray]) -> None:
    """Against a least-squares fit of the reading layer without each unit in turn."""
    model = models("squeeze_excite")
    found = find_dependencies(model)
    nodes = [slot.node for slot in reading_slots(found)]
    statistics = readers(model.graph, nodes, batches, lambda _: None)
    rankings = rank_by_surgery(found, {reader.node: reader for reader in statistics}, lambda _: None)
    hidden = next(ranking for ranking in rankings if ranking.group.name == "squeeze.0")
    slot = next(slot for slot in reading_slots(found) if set(slot.labels.tolist()) == set(hidden.order.tolist()))
    reader = next(reader for reader in statistics if reader.node is slot.node)
    covariance = reader.covariance[0].double()
    covariance += 0.01 * covariance.diagonal().mean() * torch.eye(len(covariance))
    weight = model.graph.get_parameter(slot.path).double().flatten(1) * reader.curvature.double().sqrt().unsqueeze(1)
    losses = []
    for gone in range(8):
        kept = [column for column in range(8) if column != gone]
        solved = torch.linalg.solve(covariance[kept][:, kept], covariance[kept] @ weight.T).T
        rest = weight.clone()
        rest[:, kept] -= solved
        rest[:, gone] = weight[:, gone]
        losses.append(float((rest @ covariance @ rest.T).trace()))
    first = int((slot.labels == hidden.order[0]).nonzero())
    assert first == int(np.argmin(losses))
    # float32 against float64.
    assert float(hidden.loss[1]) == pytest.approx(min(losses), rel=1e-2)


def test_second_order_needs_samples(models: Models) -> None:
    with pytest.raises(DataError, match="--data"):
        prune_channels(models("residual"), ChannelRecipe(0.5))


def test_the_scale_of_batch_norm_needs_batch_norm(models: Models) -> None:
    with pytest.raises(OptionError, match="no batch normalisation"):
        prune_channels(models("shuffle"), ChannelRecipe(0.5, Importance.NORM_SCALE))


def test_a_budget_out_of_reach_says_what_is_in_reach(models: Models) -> None:
    with pytest.raises(OptionError, match="remain"):
        prune_channels(models("residual"), ChannelRecipe(0.01, Importance.L1))


def test_the_same_twice_gives_the_same(models: Models, batches: list[np.ndarray]) -> None:
    first, second = (prune_channels(models("residual"), ChannelRecipe(0.6), batches).model for _ in range(2))
    assert first.fingerprint == second.fingerprint


def test_a_width_keeps_the_same_share_everywhere(models: Models, batches: list[np.ndarray]) -> None:
    pruned = prune_channels(models("residual"), ChannelRecipe(width=0.5, round_to=1), batches)
    assert all(layer.after == round(layer.before / 2) for layer in pruned.layers)
    # Both sides of most layers are halved; the stem's images and the classes are not.
    assert pruned.macs_after < 0.4 * pruned.macs_before
    rounded = plan_channels(models("residual"), ChannelRecipe(width=0.5, round_to=4), batches)
    assert all(layer.after % 4 == 0 and layer.after > 0 for layer in rounded.layers)
    for width in (0, 1, 1.5):
        with pytest.raises(OptionError, match=r"a width of .* is no scale"):
            ChannelRecipe(width=width)
