"""Layers in another form: exact where the form can say what the layer does, nearest where it cannot."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from pocketfit.compress.compact.low_rank import factorise
from pocketfit.compress.compact.separable import separate
from pocketfit.errors import OptionError
from pocketfit.graph.base import relative_error
from pocketfit.inspection.cost import inspect_model
from pocketfit.models.canonical import canonicalise

SHAPE = (3, 16, 16)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=2, padding=1)
        self.middle = nn.Conv2d(32, 64, 3, padding=1)
        self.last = nn.Conv2d(64, 64, 3, padding=2, dilation=2, bias=False)
        self.head = nn.Linear(64, 40)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.last(self.middle(self.stem(x).relu()).relu()).relu()
        return self.head(x.mean((2, 3)))


def batches(count: int = 4) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.standard_normal((8, *SHAPE)).astype(np.float32) for _ in range(count)]


def model_of(net: nn.Module):
    return canonicalise(net, SHAPE, name="net")


def difference(one, other, samples=None) -> float:
    x = torch.from_numpy((samples or batches())[-1])
    return relative_error(one.graph(x), other.graph(x))


def thin(net: Net, rank: int) -> Net:
    """The same with layers that two thin ones can say."""
    for layer in (net.middle, net.last):
        flat = layer.weight.data.flatten(1)
        left, sizes, right = torch.linalg.svd(flat, full_matrices=False)
        layer.weight.data = (left[:, :rank] * sizes[:rank] @ right[:rank]).reshape(layer.weight.shape)
    return net


@pytest.mark.parametrize("samples", [(), batches()], ids=["without samples", "with samples"])
def test_a_layer_of_low_rank_loses_nothing(samples):
    model = model_of(thin(Net(), 8))
    slim = factorise(model, 0.35, samples)
    assert [layer.name for layer in slim.layers] == ["middle", "last"]
    assert all(layer.lost < 1e-9 for layer in slim.layers)
    # Sums in another order, in float32.
    assert difference(model, slim.model) < 1e-5


def test_the_budget_holds_and_is_counted_as_inspect_does():
    model = model_of(Net())
    before = inspect_model(model).macs
    for share in (0.8, 0.5, 0.3):
        slim = factorise(model, share, batches())
        after = inspect_model(slim.model).macs
        assert after <= share * before
        assert after == before - sum(layer.macs[0] - layer.macs[1] for layer in slim.layers)


def test_samples_help():
    """Images that lie in few dimensions leave most directions of the answers unused."""
    random = np.random.default_rng(1)
    basis = random.standard_normal((4, *SHAPE))
    few = [np.tensordot(random.standard_normal((8, 4)), basis, 1).astype(np.float32) for _ in range(4)]
    model = model_of(Net())
    blind, seen = factorise(model, 0.4), factorise(model, 0.4, few)
    assert difference(model, seen.model, few) < 0.7 * difference(model, blind.model, few)


def test_budgets_that_cannot_be():
    model = model_of(Net())
    for share in (0.0, 1.0, 1.5):
        with pytest.raises(OptionError, match="above 0 and below 1"):
            factorise(model, share)
    with pytest.raises(OptionError, match="cannot be reached"):
        factorise(model, 0.01)


def separable(layer: nn.Conv2d) -> None:
    kernels = torch.randn(1, layer.in_channels, *layer.kernel_size)
    layer.weight.data = torch.randn(layer.out_channels, layer.in_channels, 1, 1) * kernels / layer.in_channels


@pytest.mark.parametrize("samples", [(), batches()], ids=["without samples", "with samples"])
def test_a_separable_layer_loses_nothing(samples):
    net = Net()
    separable(net.middle)
    separable(net.last)
    model = model_of(net)
    slim = separate(model, samples)
    assert [layer.name for layer in slim.layers] == ["middle", "last"]
    assert all(layer.lost < 1e-3 for layer in slim.layers)
    # The ridge shrinks what the samples say little about.
    assert difference(model, slim.model) < (1e-2 if samples else 1e-5)


def test_what_is_saved_is_what_the_paper_says():
    model = model_of(Net())
    slim = separate(model)
    for layer in slim.layers:
        # 1/out + 1/kernel² of it are left.
        assert layer.macs[1] / layer.macs[0] == pytest.approx(1 / 64 + 1 / 9)
        assert layer.parameters[1] / layer.parameters[0] == pytest.approx(1 / 64 + 1 / 9)
    saved = sum(before - after for before, after in (layer.macs for layer in slim.layers))
    assert inspect_model(slim.model).macs == inspect_model(model).macs - saved


def test_fitting_helps():
    model = model_of(Net())
    started, fitted = separate(model), separate(model, batches())
    assert difference(model, fitted.model) < 0.8 * difference(model, started.model)


def test_layers_are_chosen_by_name():
    model = model_of(Net())
    assert [layer.name for layer in separate(model, chosen=lambda name: name == "last").layers] == ["last"]
    with pytest.raises(OptionError, match="no convolution to separate"):
        separate(model, chosen=lambda name: name == "stem")
