from __future__ import annotations

import pytest
import torch
from torch import nn

from pocketfit.graph import SplitPackedProjections


def attend(query, key, value):
    return (query @ key.transpose(-2, -1)).softmax(-1) @ value


class Packed(nn.Module):
    def __init__(self, take) -> None:
        super().__init__()
        self.project, self.take = nn.Linear(16, 48), take

    def forward(self, x):
        return self.take(self.project(x).reshape(-1, 6, 3, 2, 8).permute(2, 0, 3, 1, 4))


@pytest.mark.parametrize(
    "take", [lambda x: attend(*x.unbind(0)), lambda x: attend(x[0], x[1], x[2]), lambda x: x[-1] + x[0]]
)
def test_no_tensor_has_five_axes(export, operations, take):
    module, example = Packed(take), torch.randn(2, 6, 16, generator=torch.Generator().manual_seed(0))
    graph = export(module, example)
    expected = graph(example)
    assert SplitPackedProjections()(graph, example) == 1
    assert torch.equal(graph(example), expected)
    assert "unbind.int" not in operations(graph)
    ranks = [len(node.args[1]) for node in graph.graph.nodes if "reshape" in str(node.target)]
    assert ranks and max(ranks) == 4


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.reshape(-1, 6, 3, 2, 8).permute(2, 0, 3, 1, 4).flatten(1),
        lambda x: x.reshape(-1, 6, 3, 2, 8).permute(3, 0, 2, 1, 4).unbind(0)[0],
        lambda x: x.reshape(-1, 3, 2, 6, 8).permute(1, 0, 2, 3, 4)[0],
    ],
)
def test_the_rest_is_left_alone(export, function):
    example = torch.randn(2, 6, 48, generator=torch.Generator().manual_seed(0))
    assert SplitPackedProjections()(export(function, example), example) == 0
