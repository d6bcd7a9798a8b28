import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pocketfit.devices.predict.demands import Demand, demands_of
from pocketfit.devices.predict.geometry import Convolution, convolution_amounts, linear_amounts
from pocketfit.models.canonical import canonicalise
from pocketfit.types import LoadedModel

MILLION = 1e6


class Net(nn.Module):
    """One of each: a first convolution, Winograd, depthwise, pointwise, SiLU, a sum, a mean, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.square = nn.Conv2d(16, 16, 3, padding=1)
        self.deep = nn.Conv2d(16, 16, 5, padding=2, groups=16)
        self.point = nn.Conv2d(16, 16, 1)
        self.head = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.first(x))
        x = x + self.point(F.silu(self.deep(self.square(x))))
        return self.head(x.mean((2, 3)))


@pytest.fixture(scope="module")
def demands() -> dict[str, Demand]:
    torch.manual_seed(0)
    model = canonicalise(Net(), (3, 24, 24), name="net")
    return {one.source or one.op: one for one in demands_of(model)}


def on_cpu(model: LoadedModel) -> list[Demand]:
    return [one for one in demands_of(model) if one.amounts]


@pytest.mark.parametrize(
    ("source", "amounts"),
    [
        ("first", {"first_convolution": 16 * 27 * 144, "convolution_weights": 432, "convolution_traffic": 4032}),
        # 12x12 are four tiles of 6x6 with 64 products each, as many as there are of 4x4 with 36 would be nine times 36.
        ("square", {"winograd": 4 * 64 * 256, "winograd_traffic": 4 * 64 / 144 * 4608, "convolution_weights": 2304}),
        ("deep", {"depthwise": 16 * 25 * 144}),
        ("point", {"pointwise": 256 * 144, "convolution_weights": 256, "convolution_traffic": 4608}),
        ("head", {"linear_weights": 80}),
    ],
    ids=["first", "winograd", "depthwise", "pointwise", "linear"],
)
def test_a_layer_asks_for_work_of_its_kinds(demands: dict[str, Demand], source: str, amounts: dict[str, float]) -> None:
    expected = {"calls": 1.0, **{kind: amount / MILLION for kind, amount in amounts.items()}}
    assert dict(demands[source].amounts) == pytest.approx(expected)


def test_ops_without_weights_move_numbers(demands: dict[str, Demand]) -> None:
    by_op = {one.op: one.amounts for one in demands.values()}
    assert by_op["silu"]["activation"] * MILLION == pytest.approx(16 * 144)
    assert by_op["add"]["elementwise"] * MILLION == pytest.approx(3 * 16 * 144)
    assert by_op["mean"]["movement"] * MILLION == pytest.approx(16 * 144 + 16)


def test_a_relu_behind_a_convolution_costs_nothing(demands: dict[str, Demand]) -> None:
    assert "relu" not in {one.op for one in demands.values()}


def test_a_relu_elsewhere_costs_its_traffic() -> None:
    model = canonicalise(nn.Sequential(nn.AvgPool2d(2), nn.ReLU()), (3, 4, 4), name="net")
    assert [set(one.amounts) for one in on_cpu(model)] == [{"calls", "movement"}, {"calls", "elementwise"}]


def test_views_cost_nothing() -> None:
    model = canonicalise(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), (3, 2, 2), name="net")
    assert [one.op for one in on_cpu(model)] == ["linear"]


def test_a_pointwise_convolution_of_one_pixel_is_a_linear_layer() -> None:
    one = Convolution(32, 8, (1, 1), (1, 1), 1, 1, 1, 40)
    assert convolution_amounts(one) == linear_amounts(1, 256)


@pytest.mark.parametrize(("channels", "filters", "winograd"), [(16, 24, True), (16, 63, False), (18, 24, False)])
def test_channels_that_do_not_come_out_even_take_the_plain_algorithm(
    channels: int, filters: int, winograd: bool
) -> None:
    amounts = convolution_amounts(Convolution(channels, filters, (3, 3), (12, 12), 1, 1, 1, 4000))
    assert ("winograd" in amounts, "convolution" in amounts) == (winograd, not winograd)


def test_a_dilated_convolution_is_a_kind_of_its_own() -> None:
    amounts = convolution_amounts(Convolution(16, 16, (3, 3), (12, 12), 1, 2, 1, 4608))
    assert amounts["dilated"] * MILLION == pytest.approx(16 * 16 * 9 * 144)
    assert "winograd" not in amounts


def test_rows_make_a_matrix_product() -> None:
    assert linear_amounts(7, 100) == {"calls": 1, "matrix_product": 700 / MILLION}
