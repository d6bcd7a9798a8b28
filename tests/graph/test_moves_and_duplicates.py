from __future__ import annotations

import pytest
import torch

from pocketfit.graph import CancelMoves, RemoveDuplicates


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x: x.permute(0, 2, 3, 1).permute(0, 3, 1, 2), []),
        (lambda x: x.transpose(1, 2).transpose(2, 1), []),
        (lambda x: x.permute(0, 2, 3, 1).transpose(-1, 1), ["permute.default"]),
        (lambda x: x.permute(0, 1, 2, 3), []),
        (lambda x: x.reshape(-1, 16, 9).reshape(-1, 4, 6, 6), []),
        (lambda x: x.flatten(1).reshape(-1, 12, 12), ["reshape.default"]),
        (lambda x: x.permute(0, 2, 3, 1).reshape(-1, 36, 4), ["permute.default", "reshape.default"]),
    ],
    ids=["back", "transposed back", "two in one", "nowhere", "shape and back", "two shapes", "moved, then shaped"],
)
def test_movements_that_undo_each_other(export, operations, image, function, left):
    graph = export(lambda x: function(x).relu(), image)
    CancelMoves()(graph, image)
    assert operations(graph) == [*left, "relu.default"]


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x: x.permute(0, 2, 3, 1).flatten(1), ["flatten.using_ints"]),
        (lambda x: x.permute(0, 3, 1, 2).reshape(-1, 2, 2), ["reshape.default"]),
        (lambda x: x.permute(0, 2, 3, 1).flatten(2), ["permute.default", "flatten.using_ints"]),
        (lambda x: x.permute(2, 0, 1, 3).flatten(1), ["permute.default", "flatten.using_ints"]),
    ],
    ids=["flattened", "shaped", "one axis kept", "another axis in front"],
)
def test_a_movement_of_axes_of_one(export, operations, image, function, left):
    graph = export(lambda x: function(x.mean((2, 3), keepdim=True)).relu(), image)
    before = graph(image)
    CancelMoves()(graph, image)
    assert operations(graph) == ["mean.dim", *left, "relu.default"]
    assert torch.equal(graph(image), before)


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x: x / x.mean(1, keepdim=True).expand(-1, 4, 6, 6), ["mean.dim", "div.Tensor"]),
        (lambda x: x.mean(1, keepdim=True).expand(-1, 4, 6, 6) * 2.0, ["mean.dim", "expand.default", "mul.Tensor"]),
        (lambda x: x.mean(1, keepdim=True).expand(-1, 4, 6, 6), ["mean.dim", "expand.default"]),
    ],
    ids=["beside what is that large", "beside a number", "answered"],
)
def test_expansions(export, operations, image, function, left):
    graph = export(function, image)
    CancelMoves()(graph, image)
    assert operations(graph) == left


def test_a_movement_that_something_else_reads_stays_for_it(export, operations, image):
    graph = export(lambda x: ((y := x.permute(0, 2, 3, 1)).relu(), y.permute(0, 3, 1, 2))[0] + 1, image)
    CancelMoves()(graph, image)
    assert operations(graph).count("permute.default") == 1


def test_what_is_computed_twice_is_computed_once(export, operations, image):
    graph = export(lambda x: x.relu() * x.relu() + x.clamp(0.0, 1.0) - x.clamp(0.0, 1), image)
    assert RemoveDuplicates()(graph, image) == 1
    assert operations(graph).count("relu.default") == 1
    assert operations(graph).count("clamp.default") == 2  # 1 is not 1.0 to whoever reads the graph


def test_chance_is_not_shared(export, operations):
    graph = export(lambda x: torch.rand_like(x) - torch.rand_like(x), torch.zeros(2, 3))
    assert RemoveDuplicates().apply(graph) == 0
