from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest
from torch import nn

from pocketfit.errors import ModelError, OptionError
from pocketfit.models.canonical import canonicalise
from pocketfit.tiles import Blend, Grid, plan_tiles
from pocketfit.types import LoadedModel

Models = Callable[[str, int, int], LoadedModel]


def test_the_network_tells_scale_stride_and_overlap(model: Models) -> None:
    plan = plan_tiles(model("Quarter", 48, 48), (200, 100))
    assert plan.exact
    assert (plan.grid.scale, plan.grid.stride) == (Fraction(1, 4), 4)
    assert plan.blend == Blend(plan.grid.overlap // 2)
    assert f"{plan.grid.overlap} are needed" in plan.note


def test_a_gate_is_blended_and_named(model: Models) -> None:
    plan = plan_tiles(model("Gated", 32, 32), (100, 100))
    assert not plan.exact
    assert (plan.grid, plan.blend) == (Grid((100, 100), (32, 32), 8), Blend())
    assert "adaptive_avg_pool2d" in plan.note


def test_a_tile_too_small_for_the_field_is_blended(model: Models) -> None:
    plan = plan_tiles(model("UNet", 16, 16), (100, 100))
    assert not plan.exact
    assert (plan.grid.overlap, plan.grid.stride) == (4, 4)
    assert "tiles of 16x16 can share 12 at most" in plan.note


def test_a_smaller_overlap_than_needed_is_blended(model: Models) -> None:
    plan = plan_tiles(model("SuperResolution", 32, 32), (100, 100), overlap=4)
    assert (plan.exact, plan.grid.overlap, plan.blend) == (False, 4, Blend())
    assert "4 were asked for" in plan.note


def test_an_overlap_larger_than_the_tile_is_refused(model: Models) -> None:
    with pytest.raises(OptionError, match="cannot overlap by 32"):
        plan_tiles(model("Gated", 32, 32), (100, 100), overlap=32)


def test_a_classifier_is_refused() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(ModelError, match=r"turns 1x3x16x16 into 1x2; tiles are put together"):
        plan_tiles(canonicalise(network, (3, 16, 16), name="classifier"), (100, 100))
