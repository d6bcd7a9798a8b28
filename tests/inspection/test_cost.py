import pytest
import torch
from torch import nn

from pocketfit.inspection.cost import Inspection, LayerCost, inspect_model
from pocketfit.types import LoadedModel, TensorSpec


def inspect(module: nn.Module, *shape: int) -> Inspection:
    example = torch.zeros(shape)
    with torch.no_grad():
        output = module.eval()(example)
    graph = torch.export.export(module, (example,)).module(check_guards=False)
    return inspect_model(
        LoadedModel("tiny", "tests", graph, TensorSpec("x", shape), TensorSpec("y", tuple(output.shape)), False, "")
    )


def layer(found: Inspection, op: str) -> LayerCost:
    return next(layer for layer in found.layers if layer.op == op)


@pytest.mark.parametrize(
    ("module", "shape", "macs"),
    [
        (nn.Conv2d(3, 8, 3, padding=1), (1, 3, 10, 12), 8 * 3 * 9 * 10 * 12),
        (nn.Conv2d(8, 8, 3, groups=8), (1, 8, 10, 10), 8 * 9 * 8 * 8),
        (nn.Conv2d(8, 4, 3, stride=2, groups=2), (1, 8, 9, 9), 4 * 4 * 9 * 4 * 4),
        (nn.Conv1d(4, 6, 5), (1, 4, 20), 6 * 4 * 5 * 16),
        (nn.ConvTranspose2d(8, 4, 2, stride=2), (1, 8, 5, 5), 8 * 4 * 4 * 5 * 5),
        (nn.Linear(20, 7), (1, 20), 20 * 7),
        (nn.Linear(20, 7), (1, 3, 20), 3 * 20 * 7),
    ],
)
def test_macs_of_layers_with_weights(module: nn.Module, shape: tuple[int, ...], macs: int) -> None:
    found = inspect(module, *shape)
    assert found.macs == macs
    assert found.parameters == sum(parameter.numel() for parameter in module.parameters())
    assert found.weight_bytes == 4 * found.parameters


class Products(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = torch.matmul(x, x.transpose(1, 2))
        return torch.einsum("bij,bjk->bik", scores, x)


class Attention(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.scaled_dot_product_attention(x, x, x)


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.rnn = kind(4, 6, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rnn(x)[0]


def test_macs_of_matrix_products_of_activations() -> None:
    assert inspect(Products(), 1, 5, 8).macs == 2 * 5 * 5 * 8


def test_macs_of_attention() -> None:
    assert inspect(Attention(), 1, 2, 5, 8).macs == 2 * 2 * 5 * 5 * 8


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3)])
def test_macs_of_recurrent_layers(kind: type[nn.RNNBase], gates: int) -> None:
    assert inspect(Recurrent(kind), 1, 9, 4).macs == 9 * gates * 6 * (4 + 6)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 4, 1)
        self.second = nn.Conv2d(4, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        return x + self.second(x)


def test_peak_counts_the_tensor_a_residual_keeps_alive() -> None:
    found = inspect(Residual(), 1, 2, 4, 4)
    one = 4 * 4 * 4 * 4  # bytes of a 4-channel 4x4 float32 tensor
    assert found.peak_activation_bytes == 3 * one
    assert found.peak_layer == "add"
    assert found.largest_tensor_bytes == one
    assert found.largest_tensor == "conv2d"


class Views(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = x.flatten(1).view(1, 2, 32).chunk(2, 1)
        return first + second.reshape(1, 1, 32)


def test_views_take_no_memory() -> None:
    found = inspect(Views(), 1, 4, 4, 4)
    assert found.peak_activation_bytes == (64 + 32) * 4
    assert {layer.op: layer.output_bytes for layer in found.layers} == {
        "flatten": 0,
        "view": 0,
        "chunk": 0,
        "reshape": 0,
        "add": 32 * 4,
    }


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(torch.relu(self.layer(x)))


def test_shared_weights_count_once_but_their_arithmetic_twice() -> None:
    found = inspect(Shared(), 1, 6)
    assert found.parameters == 42
    assert found.macs == 72
    assert [layer.parameters for layer in found.layers] == [42, 0, 0]


def test_layers_name_their_module_op_and_shape() -> None:
    found = inspect(Residual(), 1, 2, 4, 4)
    conv = layer(found, "conv2d")
    assert (conv.name, conv.source, conv.output_shape) == ("conv2d", "first", (1, 4, 4, 4))
    assert (conv.parameters, conv.macs, conv.output_bytes) == (12, 2 * 4 * 16, 256)
