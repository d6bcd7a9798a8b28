from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pocketfit.compress.quantize import positions as module
from pocketfit.compress.quantize.positions import Positions, grouped, positions
from pocketfit.compress.quantize.walk import Site
from pocketfit.types import LayerPlan

aten = torch.ops.aten


def site(op: Any, shape: tuple[int, ...], weight: tuple[int, ...], *rest: object) -> Site:
    """A layer with two chunks of samples, three and two."""
    rng = torch.Generator().manual_seed(0)
    inputs = [torch.randn(count, *shape, generator=rng) for count in (3, 2)]
    kernel, bias = torch.randn(weight, generator=rng), torch.randn(weight[0], generator=rng)
    expected = [op(value, kernel, bias, *rest) for value in inputs]
    node: Any = SimpleNamespace(target=op, args=(None, None, None, *rest), name="layer")
    return Site(node, LayerPlan("conv2d", "", "weight", 0, ()), inputs, expected, kernel, bias, bias)


CASES: dict[str, tuple[Any, ...]] = {
    "convolution": (aten.conv2d.default, (6, 11, 12), (4, 6, 3, 2)),
    "strided, padded and dilated": (aten.conv2d.default, (6, 11, 12), (4, 6, 3, 2), [2, 1], [1, 0], [1, 2]),
    "settings of one number": (aten.conv2d.default, (6, 11, 12), (4, 6, 3, 3), [2], [1], [2]),
    "grouped": (aten.conv2d.default, (6, 11, 12), (4, 3, 3, 3), [2, 2], [1, 1], [1, 1], 2),
    "depthwise": (aten.conv2d.default, (6, 11, 12), (6, 1, 3, 3), [1, 1], [1, 1], [1, 1], 6),
    "depthwise, multiplied": (aten.conv2d.default, (6, 11, 12), (12, 1, 3, 3), [1, 1], [1, 1], [1, 1], 6),
    "one-dimensional": (aten.conv1d.default, (6, 12), (4, 6, 3), [2], [1], [2]),
    "linear": (aten.linear.default, (12,), (4, 12)),
    "linear on sequences": (aten.linear.default, (6, 12), (4, 12)),
}


@pytest.mark.parametrize("case", CASES)
def test_every_layer_is_a_product_of_windows_and_weights(case: str) -> None:
    layer = site(*CASES[case])
    taken = positions(layer)
    assert layer.bias is not None
    assert taken.inputs.shape[1] == sum(value[:, 0].numel() for value in layer.expected) or case.startswith("linear")
    got = taken.outputs(grouped(layer, layer.weight), grouped(layer, layer.bias))
    torch.testing.assert_close(got, taken.expected, atol=1e-5, rtol=1e-5)  # float32 sums of up to 54 values


def test_all_positions_come_once_and_in_order() -> None:
    layer = site(aten.linear.default, (6, 12), (4, 12))
    assert torch.equal(positions(layer).expected[0], torch.cat(layer.expected).reshape(-1, 4))


def test_of_many_positions_some_are_taken_from_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = site(aten.conv2d.default, (6, 11, 12), (4, 6, 3, 3))
    monkeypatch.setattr(module, "LARGEST_COUNT", 50)
    taken = positions(layer)
    assert taken.inputs.shape == (1, 50, 54)
    everything = torch.cat([value.movedim(1, -1).reshape(-1, 4) for value in layer.expected])
    places = [int((everything == row).all(1).nonzero()[0, 0]) for row in taken.expected[0]]
    assert places == sorted(places)
    per_sample = torch.tensor(places).div(9 * 10, rounding_mode="floor").bincount()
    assert per_sample.tolist() == pytest.approx([10] * 5, abs=1)


def test_wide_windows_get_fewer_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATHERED_VALUES", 540)
    assert positions(site(aten.conv2d.default, (6, 11, 12), (4, 6, 3, 3))).inputs.numel() == 540
    monkeypatch.setattr(module, "GATHERED_VALUES", 1)
    assert positions(site(aten.conv2d.default, (6, 11, 12), (4, 6, 3, 3))).inputs.shape[1] == 1


def test_the_last_ones_are_held_back() -> None:
    values = torch.arange(16.0).reshape(1, 16, 1)
    first, last = Positions(values, values).split(1 / 8)
    assert first.inputs.flatten().tolist() == list(range(14))
    assert last.expected.flatten().tolist() == [14, 15]
    few = Positions(values[:, :5], values[:, :5])
    assert few.split(1 / 8) == (few, few)
