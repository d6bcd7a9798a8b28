"""Weights that are set to zero."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from pocketfit.compress.prune.weights import (
    Scope,
    WeightRecipe,
    by_pattern,
    by_ratio,
    by_threshold,
    layer_adaptive,
    zero_weights,
)
from pocketfit.errors import OptionError
from pocketfit.types import LoadedModel

TEXTBOOK = torch.tensor([[0.2, -0.1, 0.5], [0.3, 0.7, -0.2], [-0.4, 0.1, 0.6]])


def test_a_threshold_zeroes_what_is_smaller() -> None:
    expected = torch.tensor([[0.0, 0.0, 0.5], [0.3, 0.7, 0.0], [-0.4, 0.0, 0.6]])
    assert torch.equal(by_threshold(TEXTBOOK, 0.3), expected)


def test_a_ratio_zeroes_the_smallest() -> None:
    expected = torch.tensor([[0.0, 0.0, 0.5], [0.3, 0.7, 0.0], [-0.4, 0.0, 0.6]])
    assert torch.equal(by_ratio(TEXTBOOK, 4 / 9), expected)


def test_ties_leave_no_more_than_were_asked_for() -> None:
    assert int((by_ratio(torch.ones(10), 0.3) == 0).sum()) == 3


@pytest.mark.parametrize("shape", [(4, 8), (4, 8, 3, 3), (4, 10), (4, 1, 3, 3)])
def test_a_pattern_keeps_the_largest_of_each_row_of_inputs(shape: tuple[int, ...]) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    thinned = by_pattern(weight, 2, 4)
    whole = shape[1] // 4 * 4
    kept = thinned[:, :whole].movedim(1, -1).reshape(-1, 4) if whole else thinned.new_zeros(0, 4)
    assert ((kept != 0).sum(1) == 2).all()
    assert torch.equal(thinned[:, whole:], weight[:, whole:])
    assert torch.equal(thinned[thinned != 0], weight[thinned != 0])


def test_a_global_ratio_takes_from_layers_with_small_weights(models: Callable[[str], LoadedModel]) -> None:
    model = models("residual")
    each = zero_weights(model, WeightRecipe(ratio=0.5)).layers
    together = zero_weights(model, WeightRecipe(ratio=0.5, scope=Scope.GLOBAL)).layers
    assert all(layer.zeros == round(layer.weights / 2) for layer in each)
    assert sum(layer.zeros for layer in together) == round(sum(layer.weights for layer in together) / 2)
    assert [layer.zeros for layer in each] != [layer.zeros for layer in together]


def test_layer_adaptive_magnitudes_do_not_know_the_scale_of_a_layer() -> None:
    weight = torch.tensor([[1.0, -2.0], [0.0, 2.0]])
    # Squares 0, 1, 4, 4 over what is left from each on: 9, 9, 8, 4.
    assert layer_adaptive(weight).flatten().sort().values.tolist() == pytest.approx([0, 1 / 9, 0.5, 1])
    assert torch.allclose(layer_adaptive(1000 * weight), layer_adaptive(weight))
    assert not layer_adaptive(torch.zeros(2, 3)).any()


def test_the_model_that_is_given_stays_as_it_is(models: Callable[[str], LoadedModel]) -> None:
    model = models("residual")
    zeroed = zero_weights(model, WeightRecipe(threshold=0.1))
    example = torch.ones(model.input.shape)
    assert zeroed.model.fingerprint != model.fingerprint
    assert not torch.equal(zeroed.model.graph(example), model.graph(example))


@pytest.mark.parametrize(
    "numbers", [{}, {"threshold": 0.1, "ratio": 0.5}, {"ratio": 1.5}, {"threshold": -1.0}, {"pattern": (4, 4)}]
)
def test_what_makes_no_sense_is_refused(numbers: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        WeightRecipe(**numbers)  # type: ignore[arg-type]
