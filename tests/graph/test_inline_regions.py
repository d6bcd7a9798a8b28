from __future__ import annotations

import torch
from torch import nn

from pocketfit.graph import InlineRegions, optimise


class Regions(nn.Module):
    def __init__(self, *, casts: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(6, 6)
        self.casts = casts

    def forward(self, x):
        with torch.no_grad():
            x = self.layer(x)
        with torch.autocast("cpu", enabled=self.casts):
            y, z = x @ self.layer.weight, x.exp()
        return y.float() + z


def regions(operations, graph):
    return [name for name in operations(graph) if "wrap_with" in name]


def test_what_changes_nothing_is_inlined(export, operations, image):
    graph = export(Regions(casts=False), image)
    assert len(regions(operations, graph)) == 2
    assert InlineRegions()(graph, image) == 2
    assert not regions(operations, graph)
    assert operations(graph).count("matmul.default") == 1


def test_a_region_that_casts_stays(export, operations, image):
    graph = export(Regions(casts=True), image)
    assert InlineRegions()(graph, image) == 1
    assert len(regions(operations, graph)) == 1


def test_other_passes_see_what_was_inside(export, operations, image):
    graph = optimise(export(Regions(casts=False), image), image)
    assert not regions(operations, graph)
