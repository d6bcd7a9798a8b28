import pytest
import torch
from torch import nn

from pocketfit.devices.predict.demands import BOUNDARY, demands_of, total_amounts
from pocketfit.models.canonical import canonicalise

MILLION = 1e6


def amounts(module: nn.Module, *shape: int) -> dict[str, float]:
    """Of all layers on an NPU, in single units."""
    demands = demands_of(canonicalise(module.eval(), shape, name="net"))
    total = total_amounts((one for one in demands if one.name != BOUNDARY), "npu")
    return {kind: amount if kind.endswith("calls") else MILLION * amount for kind, amount in total.items()}


class Permuted(nn.Module):
    """A sum of images, their channels put where they are asked to be."""

    def __init__(self, *dims: int) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x + 1).permute(self.dims).flatten(1)


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (nn.Conv2d(3, 16, 3), (3, 10, 10), {"first_convolution": 64 * 9 * 4 * 32, "weights": 432}),
        (nn.Conv2d(40, 16, 1), (40, 4, 4), {"pointwise": 16 * 64 * 32, "weights": 640}),
        (nn.Conv2d(32, 33, 3, dilation=2), (32, 8, 8), {"convolution": 16 * 9 * 32 * 64, "weights": 9504}),
        (nn.Conv2d(48, 48, 3, groups=48), (48, 4, 4), {"depthwise": 4 * 9 * 64, "weights": 432}),
        (nn.Conv2d(64, 64, 3, groups=2), (64, 4, 4), {"grouped": 4 * 9 * 32 * 64, "weights": 18432}),
        (nn.ConvTranspose2d(32, 32, 2, 2), (32, 4, 4), {"convolution": 16 * 4 * 32 * 32, "weights": 4096}),
        (nn.Linear(40, 16), (7, 40), {"linear": 7 * 64 * 32, "weights": 640}),
    ],
    ids=["first", "pointwise", "dilated", "depthwise", "grouped", "transposed", "linear"],
)
def test_channels_are_filled_up(layer: nn.Module, shape: tuple[int, ...], expected: dict[str, float]) -> None:
    assert amounts(layer, *shape) == pytest.approx({"calls": 1, **expected})


@pytest.mark.parametrize(("layer", "shape"), [(nn.Conv2d(40, 8, 1), (40, 1, 1)), (nn.Linear(40, 8), (40,))])
def test_one_pixel_is_bound_by_weights(layer: nn.Module, shape: tuple[int, ...]) -> None:
    assert amounts(layer, *shape) == pytest.approx({"calls": 1, "weights": 320})


def test_a_relu_costs_nothing_anywhere() -> None:
    pooled = amounts(nn.Sequential(nn.AvgPool2d(2), nn.ReLU()), 3, 4, 4)
    assert pooled == pytest.approx({"calls": 1, "traffic": 48 + 12})


def test_what_looks_at_rows_as_a_whole_is_called_in_another_way() -> None:
    assert amounts(nn.Softmax(-1), 4, 8) == pytest.approx({"layout_calls": 1, "traffic": 64})


def test_channels_lie_last() -> None:
    free, moved = (amounts(Permuted(*dims), 3, 4, 5) for dims in ((0, 2, 3, 1), (0, 3, 2, 1)))
    assert free == pytest.approx({"calls": 1, "layout_calls": 1, "traffic": 240})
    assert moved == pytest.approx({"calls": 1, "layout_calls": 2, "traffic": 360})


def test_an_inference_starts_and_crosses() -> None:
    model = canonicalise(nn.Conv2d(3, 16, 3), (3, 10, 10), name="net")
    whole = next(one for one in demands_of(model) if one.name == BOUNDARY)
    assert dict(whole.npu) == pytest.approx({"inference": 1, "crossing": (3 * 100 + 16 * 64) / MILLION})
    assert not whole.amounts
