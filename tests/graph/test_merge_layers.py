"""Passes that make one layer of several: branches, pairs, scales and offsets."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pocketfit.graph import FoldBatchNorm, FoldScale, MergeBranches, MergePointwise
from pocketfit.graph.base import relative_error


class Parts(nn.Module):
    """Layers for a function to put together; nothing in them is 0 or 1 by accident."""

    def __init__(self, function) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.wide, self.narrow = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.strided, self.strided_narrow = nn.Conv2d(4, 8, 3, 2, 1), nn.Conv2d(4, 8, 1, 2)
        self.depthwise, self.depthwise_narrow = nn.Conv2d(4, 4, 3, 1, 1, groups=4), nn.Conv2d(4, 4, 1, groups=4)
        self.tall, self.flat = nn.Conv2d(4, 4, (3, 1), padding=(1, 0)), nn.Conv2d(4, 4, (1, 3), padding=(0, 1))
        self.plain, self.expand, self.reduce = nn.Conv2d(4, 4, 3), nn.Conv2d(4, 16, 1), nn.Conv2d(16, 4, 1)
        self.transposed = nn.ConvTranspose2d(4, 4, 2, 2)
        self.norm = nn.BatchNorm2d(4)
        self.first, self.second, self.squeeze = nn.Linear(6, 12), nn.Linear(12, 6), nn.Linear(12, 1)
        self.per_channel = nn.Parameter(torch.rand(4, 1, 1) + 0.5)
        self.per_pixel = nn.Parameter(torch.rand(6, 6) + 0.5)
        for name in ("running_mean", "running_var", "weight", "bias"):
            getattr(self.norm, name).data = torch.rand(4) + 0.5
        self.function = function

    def forward(self, x):
        return self.function(self, x)


def applied(export, graph_pass, function, image):
    """How many changes, and the graph; the answers are the same within what the pass allows."""
    module = Parts(function).eval()
    with torch.no_grad():
        expected = module(image)
        graph = export(module, image)
        FoldBatchNorm()(graph, image)
        changes = graph_pass(graph, image)
        assert relative_error(expected, graph(image)) <= 1e-5
    return changes, graph


def count(operations, graph, op):
    return operations(graph).count(op)


MERGED = {
    "3x3 and 1x1": (1, lambda m, x: m.wide(x) + m.narrow(x)),
    "1x1 and 3x3": (1, lambda m, x: m.narrow(x) + m.wide(x)),
    "of stride 2": (1, lambda m, x: m.strided(x) + m.strided_narrow(x)),
    "depthwise": (1, lambda m, x: m.depthwise(x) + m.depthwise_narrow(x)),
    "a normalisation": (1, lambda m, x: m.norm(x) + m.wide(x)),
    "a normalisation of depthwise": (1, lambda m, x: m.depthwise(x) + m.norm(x)),
    "three": (2, lambda m, x: m.norm(x) + m.wide(x) + m.narrow(x)),
}
APART = {
    "another input": lambda m, x: m.wide(x) + m.narrow(x.relu()),
    "other groups": lambda m, x: m.wide(x) + m.depthwise(x),
    "an activation": lambda m, x: m.wide(x).relu() + m.narrow(x),
    "the input itself": lambda m, x: m.wide(x) + x,
    "read twice": lambda m, x: (y := m.wide(x)) + m.narrow(x) + y.relu(),
    "kernels that cross": lambda m, x: m.tall(x) + m.flat(x),
    "weighted": lambda m, x: torch.add(m.wide(x), m.narrow(x), alpha=2),
}


@pytest.mark.parametrize("case", MERGED)
def test_branches_become_one_convolution(export, operations, image, case):
    sums, function = MERGED[case]
    changes, graph = applied(export, MergeBranches(), function, image)
    assert changes == sums
    assert operations(graph) == ["conv2d.default"]


@pytest.mark.parametrize("case", APART)
def test_other_sums_stay(export, image, case):
    assert applied(export, MergeBranches(), APART[case], image)[0] == 0


def test_pairs_become_one_layer(export, operations, image):
    changes, graph = applied(export, MergePointwise(), lambda m, x: m.reduce(m.expand(x)), image)
    assert (changes, operations(graph)) == (1, ["conv2d.default"])
    changes, graph = applied(export, MergePointwise(), lambda m, x: m.second(m.first(x)), image)
    assert (changes, operations(graph)) == (1, ["linear.default"])
    changes, graph = applied(export, MergePointwise(), lambda m, x: m.narrow(m.narrow(m.wide(x)).relu()), image)
    assert changes == 0  # the weight of a layer that is used twice is no layer's own
    changes, graph = applied(export, MergePointwise(), lambda m, x: m.narrow(m.wide(x)), image)
    assert (changes, operations(graph)) == (1, ["conv2d.default"])


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: m.reduce(m.expand(x).relu()),
        lambda m, x: m.wide(m.narrow(x)),
        lambda m, x: m.narrow(m.depthwise(x)),
        lambda m, x: (y := m.wide(x)) + m.narrow(y),
        lambda m, x: m.expand(m.reduce(m.expand(x).relu())),
    ],
    ids=["activation between", "padding behind", "groups before", "read twice", "cheaper apart"],
)
def test_other_pairs_stay(export, image, function):
    assert applied(export, MergePointwise(), function, image)[0] == 0


FOLDED = {
    "a number behind": (1, lambda m, x: m.wide(x) * 3.0),
    "a channel behind": (1, lambda m, x: m.wide(x) * m.per_channel),
    "a constant in front of the sum": (1, lambda m, x: m.per_channel + m.wide(x)),
    "a difference": (1, lambda m, x: m.wide(x) - m.per_channel),
    "a quotient": (1, lambda m, x: m.wide(x) / m.per_channel),
    "behind a transposed convolution": (1, lambda m, x: m.transposed(x) * m.per_channel),
    "behind a depthwise one": (1, lambda m, x: m.depthwise(x) * m.per_channel),
    "before a padded one": (1, lambda m, x: m.wide(x * m.per_channel)),
    "before a depthwise one": (1, lambda m, x: m.depthwise(x / m.per_channel)),
    "a normalised input": (2, lambda m, x: m.plain((x - m.per_channel) / 0.25)),
    "a linear layer": (2, lambda m, x: m.second(m.first(x * 2.0) + 0.5)),
}
KEPT = {
    "a pixel": lambda m, x: m.wide(x) * m.per_pixel,
    "an offset before padding": lambda m, x: m.wide(x - m.per_channel),
    "a constant over": lambda m, x: m.per_channel / m.wide(x),
    "a constant less": lambda m, x: m.per_channel - m.wide(x),
    "read twice": lambda m, x: (y := m.wide(x)) * 3.0 + y,
    "between activations": lambda m, x: m.wide(x).relu() * 3.0,
}


@pytest.mark.parametrize("case", FOLDED)
def test_scales_and_offsets_go_into_the_layer(export, operations, image, case):
    changes, function = FOLDED[case]
    found, graph = applied(export, FoldScale(), function, image)
    assert found == changes
    assert not {"mul.Tensor", "add.Tensor", "sub.Tensor", "div.Tensor"} & set(operations(graph))


@pytest.mark.parametrize("case", KEPT)
def test_other_constants_stay(export, image, case):
    assert applied(export, FoldScale(), KEPT[case], image)[0] == 0
