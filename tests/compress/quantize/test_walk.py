from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from pocketfit.compress.quantize.calibrate import calibrate
from pocketfit.compress.quantize.placement import place
from pocketfit.compress.quantize.plan import int8_plan
from pocketfit.compress.quantize.walk import Site, Values, walk
from pocketfit.types import LoadedModel, Scheme

Load = Callable[[Callable[[], nn.Module], tuple[int, ...]], LoadedModel]


class Residual(nn.Module):
    """A block whose second layer is added to what the block reads, behind a layer of its own."""

    def __init__(self, activation: bool = False) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3)
        self.one, self.two = nn.Conv2d(4, 6, 1), nn.Conv2d(6, 4, 1)
        self.activation = nn.ReLU() if activation else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return x + self.activation(self.two(self.one(x).relu()))


class Remember:
    """Computes as planned and keeps every layer."""

    def __init__(self) -> None:
        self.sites: dict[str, Site] = {}
        self.given: dict[str, Values] = {}

    def visit(self, site: Site) -> Values:
        self.sites[site.node.name] = site
        self.given[site.node.name] = site.outputs(bias=site.planned_bias)
        return self.given[site.node.name]


def walked(model: LoadedModel) -> Remember:
    samples = list(np.random.default_rng(0).normal(size=(3, 2, 2, 7, 7)).astype(np.float32))
    statistics = calibrate(model.graph, samples, place(model.graph).tensors)
    plan = int8_plan(model, statistics, data_fingerprint="", samples=6)
    visitor = Remember()
    assert walk(model.graph, plan, Scheme.SYMMETRIC, samples, visitor) == 6
    return visitor


def test_the_last_layer_of_a_residual_block_owes_what_the_shortcut_lacks(load: Load) -> None:
    visitor = walked(load(Residual, (2, 7, 7)))
    stem, one, two = visitor.sites.values()
    assert stem.owed is None and one.owed is None
    assert two.owed is not None
    for owed, value, got in zip(two.owed, stem.expected, visitor.given[stem.node.name], strict=True):
        assert torch.equal(owed, value - got)
        assert owed.abs().max() > 0
    # What is wanted, added to the shortcut of the quantized graph, is the sum of the float graph.
    for wanted, value, got, first in zip(
        two.wanted, two.expected, visitor.given[stem.node.name], stem.expected, strict=True
    ):
        torch.testing.assert_close(wanted + got, value + first, atol=1e-5, rtol=0)  # float32 sums


@pytest.mark.parametrize("build", [lambda: Residual(activation=True), lambda: nn.Conv2d(2, 4, 3)])
def test_elsewhere_nothing_is_owed(load: Load, build: Callable[[], nn.Module]) -> None:
    for site in walked(load(build, (2, 7, 7))).sites.values():
        assert site.owed is None
        assert site.wanted is site.expected
