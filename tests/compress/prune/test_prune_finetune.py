"""Pruned models trained by the unpruned one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pocketfit.compress.distill import DistillationRecipe, distill
from pocketfit.compress.prune.allocate import Allocation
from pocketfit.compress.prune.channels import prune_channels
from pocketfit.compress.prune.recipe import ChannelRecipe, Importance
from pocketfit.compress.prune.rounds import Schedule, prune_in_rounds
from pocketfit.compress.training.transfer import FeatureLoss
from pocketfit.errors import DataError
from pocketfit.types import LoadedModel, Samples

Models = Callable[[str], LoadedModel]


@pytest.fixture(scope="module")
def samples() -> Samples:
    inputs = torch.randn(192, 3, 8, 8, generator=torch.Generator().manual_seed(3)).numpy()
    return Samples(inputs, None, None, fingerprint="seed 3")


def test_training_brings_the_answers_nearer(models: Models, samples: Samples, tmp_path: Path) -> None:
    model = models("residual")
    recipe = ChannelRecipe(0.6, Importance.L1, Allocation.UNIFORM, round_to=1, refit=False)
    pruned = prune_channels(model, recipe).model
    losses: list[float] = []
    file = tmp_path / "training.pt"
    trained = distill(
        pruned,
        model,
        samples,
        DistillationRecipe(epochs=6),
        checkpoint=file,
        progress=lambda step: losses.append(step.loss),
    ).model
    # It falls to about a half; what is tested is that it learns at all.
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])
    assert trained.fingerprint != pruned.fingerprint
    again = distill(
        pruned, model, samples, DistillationRecipe(epochs=6), checkpoint=file, progress=lambda _: pytest.fail("new")
    ).model
    assert again.fingerprint == trained.fingerprint


def test_rounds_end_at_the_budget(models: Models, samples: Samples) -> None:
    model = models("residual")
    recipe = ChannelRecipe(0.5, Importance.L2, round_to=1)
    schedule = Schedule(3, DistillationRecipe(epochs=1))
    told: list[str] = []
    pruned = prune_in_rounds(model, recipe, schedule, [], samples, lambda part, done, total: told.append(part))
    assert pruned.macs_after <= 0.5 * pruned.macs_before
    assert told.count("train") == 3 * 3  # of 192 samples, 64 a step
    once = prune_in_rounds(model, recipe, Schedule())
    assert [(layer.name, layer.before) for layer in pruned.layers] == [(one.name, one.before) for one in once.layers]


@pytest.mark.parametrize("features", FeatureLoss)
def test_a_pruned_network_learns_from_the_layers_that_it_had(
    models: Models, samples: Samples, features: FeatureLoss
) -> None:
    """Pairs come by themselves; channels that are gone have no counterpart, places have."""
    model = models("residual")
    pruned = prune_channels(model, ChannelRecipe(0.6, Importance.L1, Allocation.UNIFORM, round_to=1, refit=False)).model
    found = distill(pruned, model, samples, DistillationRecipe(epochs=6, features=features))
    assert [one.student.name for one in found.matched] == [one.teacher.name for one in found.matched]
    assert any(one.student.shape[0] < one.teacher.shape[0] for one in found.matched)
    assert found.log[-1].loss < 0.8 * found.log[0].loss


def test_no_samples_are_refused(models: Models, samples: Samples) -> None:
    nothing = Samples(samples.inputs[:0], None, None)
    with pytest.raises(DataError, match="at least one"):
        distill(models("residual"), models("residual"), nothing, DistillationRecipe(epochs=1))
