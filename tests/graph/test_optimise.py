from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from pocketfit.graph import DEFAULT_PASSES, InferBatch, optimise
from pocketfit.graph.base import relative_error

RESHAPES = {
    "size and number": (lambda x: x.view(x.shape[0], 144), [-1, 144]),
    "size and -1": (lambda x: x.view(x.shape[0], -1), [-1, 144]),
    "groups": (lambda x: x.reshape(x.shape[0], 2, 2, 6, 6), [-1, 2, 2, 6, 6]),
    "batch merged": (lambda x: x.reshape(x.shape[0] * 4, 36), [-1, 36]),
}


@pytest.mark.parametrize("case", RESHAPES)
def test_the_batch_is_written_as_minus_one(export, image, case):
    function, sizes = RESHAPES[case]
    graph = export(function, image)
    assert InferBatch()(graph, image) == 1
    (node,) = (node for node in graph.graph.nodes if "view" in str(node.target) or "reshape" in str(node.target))
    assert node.args[1] == sizes


def test_two_sizes_that_depend_on_the_batch_stay(export):
    square = torch.randn(3, 4)
    graph = export(lambda x: torch.outer(x[:, 0], x[:, 0]).reshape(1, x.shape[0], x.shape[0]), square)
    assert InferBatch()(graph, square) == 0


class Everything(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.act = nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8), nn.ReLU6(inplace=True)
        self.drop, self.linear = nn.Dropout(0.1), nn.Linear(8 * 16, 3)

    def forward(self, x):
        x = self.act(self.norm(self.conv(x)))
        return self.linear(self.drop(x.view(x.size(0), -1)))


def test_all_passes_together(export, operations, image):
    module = Everything().eval()
    graph = optimise(export(module, image), image)
    assert operations(graph) == ["conv2d.default", "hardtanh.default", "view.default", "linear.default"]
    # Batch-norm inside the weight rounds differently, by some units of 6e-8 over sums of 36 terms.
    assert relative_error(module(image), graph(image)) < 1e-5


def test_no_pass_moves_a_batch_norm_back_through_an_activation(export, operations, image):
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(8)
    # Negative factors and offsets: in front of the ReLU they would change what it cuts off.
    (
        nn.init.normal_(norm.weight),
        nn.init.normal_(norm.bias),
        norm.running_mean.normal_(),
        norm.running_var.uniform_(1, 2),
    )
    module = nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU(), norm).eval()
    weight = module[0].weight.clone()
    graph = optimise(export(module, image), image)
    assert operations(graph) == ["conv2d.default", "relu.default", "batch_norm.default"]
    assert torch.equal(graph.get_parameter("0.weight"), weight)
    assert torch.equal(graph(image), module(image))


def test_a_second_time_changes_nothing(export, image):
    graph = optimise(export(Everything(), image), image)
    assert [graph_pass(graph, image) for graph_pass in DEFAULT_PASSES] == [0] * len(DEFAULT_PASSES)


def test_every_pass_has_a_name_of_its_own():
    kinds = {type(graph_pass) for graph_pass in DEFAULT_PASSES}  # one may stand in the row twice
    assert len({kind.name for kind in kinds}) == len(kinds)
    assert all(graph_pass.apply.__doc__ and type(graph_pass).__doc__ for graph_pass in DEFAULT_PASSES)


def test_the_documentation_lists_every_pass_with_its_tolerance():
    page = (Path(__file__).parents[2] / "docs" / "passes.md").read_text()
    table = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    rows = {cells[1].strip("` "): float(cells[3]) for cells in table}
    assert rows == {graph_pass.name: graph_pass.tolerance for graph_pass in DEFAULT_PASSES}
