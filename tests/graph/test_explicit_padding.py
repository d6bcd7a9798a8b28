from __future__ import annotations

import pytest
import torch
from torch import nn

from pocketfit.graph import ExplicitPadding

LAYERS = [
    nn.Conv1d(4, 4, 3, padding="same"),
    nn.Conv2d(4, 4, 3, padding="same", bias=False),
    nn.Conv2d(4, 4, (5, 3), padding="same", dilation=(1, 2), groups=2),
    nn.Conv2d(4, 4, 3, padding="valid", stride=2),
    nn.Conv2d(4, 4, (2, 3), padding="same"),
    nn.Conv2d(4, 4, 4, padding="same", dilation=3),
    nn.Conv3d(4, 4, (1, 2, 3), padding="same"),
]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_words_become_numbers(export, layer):
    dimensions = int(type(layer).__name__[-2])
    example = torch.randn(2, 4, *[9] * dimensions, generator=torch.Generator().manual_seed(0))
    graph = export(layer, example)
    assert ExplicitPadding()(graph, example) == 1
    (node,) = (node for node in graph.graph.nodes if "conv" in str(node.target))
    assert str(node.target) == f"aten.conv{dimensions}d.default"
    assert all(isinstance(padding, int) for padding in node.args[4])
    # The same sums of the same terms; at most their order changes.
    torch.testing.assert_close(graph(example), layer(example), rtol=1e-6, atol=1e-6)


def test_numbers_stay(export, image):
    assert ExplicitPadding()(export(nn.Conv2d(4, 4, 3, padding=1), image), image) == 0
