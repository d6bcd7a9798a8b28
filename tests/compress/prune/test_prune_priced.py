"""A budget of something else than multiply-accumulates."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import nn

from pocketfit.compress.prune.allocate import Allocation
from pocketfit.compress.prune.channels import prune_channels
from pocketfit.compress.prune.priced import total
from pocketfit.compress.prune.recipe import ChannelRecipe, Importance
from pocketfit.devices.predict.layers import fastest, layer_times, whole
from pocketfit.devices.profile import find_profile
from pocketfit.errors import OptionError
from pocketfit.inspection.cost import inspect_model
from pocketfit.models.canonical import canonicalise
from pocketfit.types import LoadedModel

Models = Callable[[str], LoadedModel]


def _wide() -> nn.Module:
    """Work enough that what a layer costs whatever its channels, which phones have too, is the smaller part."""
    torch.manual_seed(0)
    convolutions = [nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3)]
    return nn.Sequential(*convolutions, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)).eval()


def constant(model: LoadedModel) -> Mapping[str, float]:
    return {node.name: 1.0 for node in model.graph.graph.nodes if node.op == "call_function"}


def test_the_latency_predicted_of_the_pruned_model_meets_the_budget() -> None:
    model = canonicalise(_wide(), (3, 64, 64), name="wide")
    target = fastest(model, find_profile("xiaomi-mi-11"))

    def price(one: LoadedModel) -> Mapping[str, float]:
        return layer_times(one, target)

    recipe = ChannelRecipe(0.8, Importance.L1, round_to=1)
    pruned = prune_channels(model, recipe, price=price)
    assert total(price, pruned.model) <= 0.8 * total(price, model)
    assert whole(pruned.model, target).ms < whole(model, target).ms
    assert pruned.macs_after == inspect_model(pruned.model).macs < pruned.macs_before


def test_layers_without_a_price_keep_their_channels(models: Models) -> None:
    def price(one: LoadedModel) -> Mapping[str, float]:
        early = [layer for layer in inspect_model(one).layers if layer.output_shape[2:] == (8, 8)]
        return {layer.name: float(layer.macs) for layer in early}

    recipe = ChannelRecipe(0.6, Importance.L1, Allocation.GLOBAL, round_to=1)
    pruned = prune_channels(models("residual"), recipe, price=price)
    left = {layer.name: (layer.before, layer.after) for layer in pruned.layers}
    assert left["second.0"] == (32, 32)  # it works on smaller images
    assert any(after < before for before, after in left.values())


def test_a_price_that_channels_do_not_change_cannot_be_met(models: Models) -> None:
    with pytest.raises(OptionError, match=r"of the cost (cannot be|was not) reached"):
        prune_channels(models("residual"), ChannelRecipe(0.5, Importance.L1, round_to=1), price=constant)


@pytest.mark.parametrize("budget", [0.95, 0.7, 0.63])
def test_a_price_that_channels_hardly_change_is_met(models: Models, budget: float) -> None:
    """Three fifths of it stay whatever leaves, so that far more has to leave than the budget says."""

    def price(one: LoadedModel) -> Mapping[str, float]:
        layers = [layer for layer in inspect_model(one).layers if layer.macs]
        return {layer.name: share[layer.name] + layer.macs for layer in layers}

    model = models("residual")
    share = {layer.name: 1.5 * layer.macs for layer in inspect_model(model).layers}
    recipe = ChannelRecipe(budget, Importance.L1, Allocation.GLOBAL, round_to=1)
    left = total(price, prune_channels(model, recipe, price=price).model) / total(price, model)
    assert 0.9 * budget <= left <= budget
