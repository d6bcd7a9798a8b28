"""The passes that take things away: identities, in-place writes, dead code."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pocketfit.graph import RemoveDeadCode, RemoveIdentity, RemoveInPlace, aliased_writes

IDENTITIES = {
    "dropout": lambda x: nn.functional.dropout(torch.relu(x), 0.5, training=False),
    "feature dropout": lambda x: nn.functional.dropout2d(torch.relu(x), 0.5, training=False),
    "alpha dropout": lambda x: nn.functional.alpha_dropout(torch.relu(x), 0.5, training=False),
    "detach": lambda x: torch.relu(x).detach(),
    "alias": lambda x: torch.ops.aten.alias(torch.relu(x)),
    "clone": lambda x: torch.relu(x).clone(),
    "same dtype": lambda x: torch.ops.aten.to.dtype(torch.relu(x), torch.float32),
    "whole slice": lambda x: torch.relu(x)[:, :, 0:],
    "write into all": lambda x: torch.slice_scatter(x, torch.relu(x), 0, 0),
    "slice to the size": lambda x: torch.relu(x)[:, 0:4],
}

KEPT = {
    "active dropout": lambda x: nn.functional.dropout(x, 0.5, training=True) * 0,
    "part": lambda x: x[:, :3],
    "write into a part": lambda x: torch.slice_scatter(x, x[:, :3], 1, 1),
    "later start": lambda x: x[:, 1:],
    "step": lambda x: x[:, ::2],
    "other dtype": lambda x: x.to(torch.float64),
    "clone that makes a view possible": lambda x: x.transpose(1, 2).clone(memory_format=torch.contiguous_format),
    "contiguous that makes a view possible": lambda x: x.transpose(1, 2).contiguous().view(-1, 24, 6),
}


@pytest.mark.parametrize("case", IDENTITIES)
def test_identity_goes(export, operations, image, case):
    graph = export(IDENTITIES[case], image)
    assert RemoveIdentity()(graph, image) >= 1
    assert operations(graph) == ["relu.default"]


@pytest.mark.parametrize("case", KEPT)
def test_what_does_something_stays(export, operations, image, case):
    graph = export(KEPT[case], image)
    before = _without_slices(operations(graph))
    RemoveIdentity().apply(graph)
    assert _without_slices(operations(graph)) == before
    torch.testing.assert_close(graph(image), KEPT[case](image), rtol=0, atol=0)  # nothing may change


def _without_slices(names):
    """`x[:, 1:]` is two slices, the first of which is whole; casts come with an assertion."""
    return [name for name in names if "slice" not in name and "assert" not in name]


def test_assertions_go(image):
    graph = torch.export.export(nn.ReLU(), (image,)).module()
    assert any(node.op == "call_module" for node in graph.graph.nodes)
    assert RemoveIdentity()(graph, image) == 1
    assert not any(node.op == "call_module" for node in graph.graph.nodes)


IN_PLACE = {
    "activation": lambda x: torch.relu_(x * 2),
    "chain": lambda x: (x * 2).relu_().add_(1).mul_(3),
    "read again under the old name": lambda x: _add_to_old_name(x * 2),
    "read before": lambda x: _read_before(x * 2),
    "of the input": lambda x: x.add_(1) + x,
    "with arguments": lambda x: nn.functional.hardtanh_(x * 2, 0.0, 6.0),
    "residual": lambda x: _residual(x * 2),
}


def _add_to_old_name(y):
    y.relu_()
    return y + 1


def _read_before(y):
    before = y + 1
    y.relu_()
    return before + y


def _residual(y):
    z = y * 3
    z += y
    return z


@pytest.mark.parametrize("case", IN_PLACE)
def test_in_place_writes_become_values(export, operations, image, case):
    graph = export(IN_PLACE[case], image)
    assert aliased_writes(graph) == ()
    assert RemoveInPlace()(graph, image) >= 1
    assert not any(name.split(".")[0].endswith("_") for name in operations(graph))
    torch.testing.assert_close(graph(image), IN_PLACE[case](image.clone()), rtol=0, atol=0)  # the very same operations


def _write_through_view(y):
    y.flatten(1).relu_()
    return y


def _view_sees_write(y):
    view = y.flatten(1)
    y.relu_()
    return view


def _write_part(y):
    y[:, 0] = 0
    return y


@pytest.mark.parametrize("function", [_write_through_view, _view_sees_write, _write_part])
def test_writes_through_views_are_left_to_torch(export, image, function):
    graph = export(lambda x: function(x * 2), image)
    assert aliased_writes(graph)
    before = [str(node.target) for node in graph.graph.nodes]
    RemoveInPlace()(graph, image)
    assert [str(node.target) for node in graph.graph.nodes] == before


def test_dead_code_and_unread_weights_go(export, image):
    class Wasteful(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Conv2d(4, 4, 1), nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
            self.register_buffer("grid", torch.zeros(3))

        def forward(self, x):
            self.unused(x)
            return self.used(x)

    graph = export(Wasteful(), image)
    assert RemoveDeadCode()(graph, image) > 0
    assert sorted(graph.state_dict()) == ["used.bias", "used.weight"]
    assert [name for name, _ in graph.named_modules() if name] == ["used"]
    assert RemoveDeadCode()(graph, image) == 0


def test_tied_weights_survive(export, image):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
            self.two.weight = self.one.weight

        def forward(self, x):
            return self.two(self.one(x))

    graph = export(Tied(), image)
    expected = graph(image)
    RemoveDeadCode()(graph, image)
    torch.testing.assert_close(graph(image), expected, rtol=0, atol=0)  # nothing that is read may go
