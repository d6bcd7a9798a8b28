"""What the base class holds every pass to."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pocketfit.errors import ModelError
from pocketfit.graph import Pass
from pocketfit.graph.base import relative_error

aten = torch.ops.aten


class Negate(Pass):
    name = "negate"

    def apply(self, module):
        (node,) = (node for node in module.graph.nodes if node.target is aten.relu.default)
        node.target = aten.neg.default
        return 1


class Reorder(Pass):
    name = "reorder"

    def apply(self, module):
        first, second = (node for node in module.graph.nodes if node.op == "call_function")
        second.append(first)
        return 1


class Rename(Pass):
    name = "rename"

    def apply(self, module):
        (node,) = module.graph.find_nodes(op="placeholder")
        node.name = "something_else"
        return 1


class Flatten(Pass):
    name = "flatten"

    def apply(self, module):
        (node,) = (node for node in module.graph.nodes if node.target is aten.relu.default)
        node.target, node.args = aten.flatten.using_ints, (node.args[0], 1)
        return 1


class Shift(Pass):
    name = "shift"
    tolerance = 1e-3

    def __init__(self, by):
        self.by = by

    def apply(self, module):
        (node,) = (node for node in module.graph.nodes if node.target is aten.add.Tensor)
        node.args = (node.args[0], self.by)
        return 1


@pytest.mark.parametrize(
    ("broken", "words"),
    [(Negate(), "changed an output"), (Rename(), "changed the inputs"), (Flatten(), "changed the shape")],
)
def test_a_broken_promise_is_an_error_that_names_the_pass(export, image, broken, words):
    graph = export(nn.ReLU(), image)
    with pytest.raises(ModelError, match=f"{broken.name}.*{words}"):
        broken(graph, image)


def test_a_malformed_graph_is_refused(export, image):
    graph = export(lambda x: torch.relu(x) * 2, image)
    with pytest.raises(ModelError, match="malformed"):
        Reorder()(graph, image)


def test_a_change_within_the_tolerance_is_allowed(export):
    example = torch.linspace(0, 1, 12).reshape(2, 6)
    assert Shift(1.0009)(export(lambda x: x + 1, example), example) == 1
    with pytest.raises(ModelError, match=r"at most 0\.001 is allowed"):
        Shift(1.0011)(export(lambda x: x + 1, example), example)


def test_relative_error_is_measured_by_the_range():
    assert relative_error(torch.tensor([0.0, 10.0]), torch.tensor([1.0, 10.0])) == pytest.approx(0.1)
    assert relative_error(torch.tensor([4.0, 4.0]), torch.tensor([5.0, 4.0])) == pytest.approx(0.25)
    assert relative_error(torch.zeros(2), torch.zeros(2)) == 0


def test_relative_error_does_not_overlook_what_is_not_finite():
    nan = float("nan")
    assert relative_error(torch.tensor([nan, 1.0]), torch.tensor([nan, 1.0])) == 0
    assert relative_error(torch.tensor([0.0, 1.0]), torch.tensor([0.0, nan])) == float("inf")
    assert relative_error(torch.tensor([0.0, 1.0]), torch.tensor([0.0, float("inf")])) == float("inf")
