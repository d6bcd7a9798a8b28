"""Channels that leave together, and graphs without them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from pocketfit.compress.prune.dependencies import Dependencies, find_dependencies
from pocketfit.compress.prune.remove import masked, removed
from pocketfit.graph.base import relative_error
from pocketfit.graph.norm_statistics import norm_statistics
from pocketfit.graph.recorder import record
from pocketfit.types import LoadedModel

NAMES = ("residual", "shuffle", "squeeze_excite", "attention", "recurrent", "decoder")
Models = Callable[[str], LoadedModel]


def _half(found: Dependencies, seed: int = 0) -> torch.Tensor:
    """About half of the units, at least one of each group."""
    kept = torch.rand(found.count, generator=torch.Generator().manual_seed(seed)) < 0.5
    for group in found.groups:
        kept[group.units[0]] = True
    return kept


def _batch(model: LoadedModel) -> torch.Tensor:
    return torch.randn(
        3 if model.dynamic_batch else 1, *model.input.shape[1:], generator=torch.Generator().manual_seed(1)
    )


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", NAMES)
def test_removing_channels_is_masking_them(models: Models, name: str, seed: int) -> None:
    model = models(name)
    found = find_dependencies(model)
    kept = _half(found, seed)
    assert not kept.all()
    expected, got = masked(found, kept)(_batch(model)), removed(found, kept)(_batch(model))
    # Sums over fewer terms round differently.
    assert relative_error(expected, got) < 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_macs_are_what_a_run_counts(models: Models, name: str) -> None:
    model = models(name)
    found = find_dependencies(model)
    kept = _half(found)
    counted = sum(entry.macs for entry in record(removed(found, kept), torch.zeros(model.input.shape)))
    assert found.macs(kept) == pytest.approx(counted, rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_one_unit_of_each_group_is_enough(models: Models, name: str) -> None:
    model = models(name)
    found = find_dependencies(model)
    kept = torch.zeros(found.count, dtype=torch.bool)
    for group in found.groups:
        kept[group.units[-1]] = True
    assert removed(found, kept)(_batch(model)).isfinite().all()


def test_groups_have_the_units_that_networks_have(models: Models) -> None:
    sizes = {name: sorted(len(group.units) for group in find_dependencies(models(name)).groups) for name in NAMES}
    # Hidden units of the recurrent layer; heads and the perceptron's hidden units, nothing of what is normalised.
    assert sizes["recurrent"] == [12]
    assert sizes["attention"] == [4, 24]
    # The stream of the first stage is part of the second's: 16 of its 32 channels are padding there.
    assert sizes["residual"] == [16, 16, 16, 32]


def test_a_head_leaves_with_its_query_key_and_value(models: Models) -> None:
    found = find_dependencies(models("attention"))
    assert [group.channels for group in found.groups] == [8, 1]


def test_statistics_of_batch_norm_are_shortened_with_the_layer(models: Models) -> None:
    found = find_dependencies(models("residual"))
    kept = torch.ones(found.count, dtype=torch.bool)
    kept[found.groups[0].units[:4]] = False
    graph = removed(found, kept)
    stem = next(node for node in graph.graph.nodes if norm_statistics(node) is not None)
    statistics = norm_statistics(stem)
    assert statistics is not None and len(statistics.mean) == 12


def test_what_feeds_the_output_stays(models: Models) -> None:
    model = models("decoder")
    found = find_dependencies(model)
    kept = _half(found)
    assert removed(found, kept)(_batch(model)).shape[1:] == model.output.shape[1:]
