from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.fx import GraphModule

from pocketfit.compress.quantize.readers import read_through

GraphOf = Callable[[nn.Module, tuple[int, ...]], GraphModule]


class Then(nn.Module):
    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.layer, self.function = nn.Linear(4, 4), function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self.layer(x))


@pytest.mark.parametrize(
    "activation", [nn.LeakyReLU(0.05), nn.Hardswish(), nn.SiLU(), nn.GELU(approximate="tanh"), nn.ELU(0.5)]
)
def test_the_only_reader_is_a_function_with_its_options(graph_of: GraphOf, activation: nn.Module) -> None:
    graph = graph_of(Then(activation), (4,))
    through = read_through(next(node for node in graph.graph.nodes if node.name == "linear"))
    assert through is not None
    values = np.linspace(-5, 5, 21)
    expected = activation(torch.from_numpy(values)).numpy()
    np.testing.assert_allclose(through(values), expected, rtol=1e-12)


@pytest.mark.parametrize("function", [lambda x: x + x.relu(), lambda x: x.softmax(-1), lambda x: x])
def test_other_readers_say_nothing_of_single_values(
    graph_of: GraphOf, function: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    graph = graph_of(Then(function), (4,))
    assert read_through(next(node for node in graph.graph.nodes if node.name == "linear")) is None
