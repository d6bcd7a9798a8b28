from __future__ import annotations

import pytest
import torch
from torch import nn

from pocketfit.graph import FoldConstants, RemoveDeadCode


class Grid(nn.Module):
    def forward(self, x):
        grid = torch.arange(6, dtype=torch.float32).reshape(1, 1, 6, 1) / 6
        return x + grid


class Positions(nn.Module):
    """A position embedding that is resized on every call, though it never changes."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(1, 4, 3, 3, generator=torch.Generator().manual_seed(3)))

    def forward(self, x):
        return x + nn.functional.interpolate(self.embedding, size=(6, 6), mode="bilinear")


class Standardised(nn.Conv2d):
    def forward(self, x):
        weight = (self.weight - self.weight.mean((1, 2, 3), keepdim=True)) / self.weight.std((1, 2, 3), keepdim=True)
        return nn.functional.conv2d(x, weight, self.bias)


class Chunked(nn.Module):
    def __init__(self):
        super().__init__()
        self.both = nn.Parameter(torch.randn(8, 4, 1, 1, generator=torch.Generator().manual_seed(4)))

    def forward(self, x):
        one, two = self.both.chunk(2)
        return nn.functional.conv2d(nn.functional.conv2d(x, one), two)


CASES = {
    "grid": Grid(),
    "position embedding": Positions(),
    "weight standardisation": Standardised(4, 4, 3),
    "weight normalisation": nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 3)),
    "chunks": Chunked(),
}


@pytest.mark.parametrize("case", CASES)
def test_what_depends_on_weights_alone_is_computed_once(export, image, case):
    graph = export(CASES[case], image)
    expected = graph(image)
    assert FoldConstants()(graph, image) >= 1
    RemoveDeadCode()(graph, image)
    calls = [node for node in graph.graph.nodes if node.op == "call_function"]
    (placeholder,) = graph.graph.find_nodes(op="placeholder")
    reached = {placeholder}
    reached.update(node for node in graph.graph.nodes if reached & set(node.all_input_nodes) and not reached.add(node))
    assert all(node in reached for node in calls)
    torch.testing.assert_close(graph(image), expected, rtol=0, atol=0)  # the very same numbers, computed earlier


def test_the_path_says_which_layer_it_belongs_to(export, image):
    graph = export(nn.Sequential(Standardised(4, 4, 3)), image)
    FoldConstants()(graph, image)
    RemoveDeadCode()(graph, image)
    assert sorted(graph.state_dict()) == ["0.bias", "0.weight_folded"]


def test_random_numbers_and_sizes_of_the_input_stay(export, image):
    graph = export(lambda x: x + torch.rand(6) * 0 + torch.ones(x.shape[0], 1, 1, 1), image)
    FoldConstants()(graph, image)
    targets = [str(node.target) for node in graph.graph.nodes]
    assert "aten.rand.default" in targets
    assert "aten.ones.default" in targets
