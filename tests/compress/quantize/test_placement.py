from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.fx import GraphModule

from pocketfit.compress.quantize.placement import Placement, activation_bounds, fused_activation, place
from pocketfit.types import LoadedModel

SHAPE = (4, 8, 8)
Function = Callable[["Convolutions", torch.Tensor], torch.Tensor]
Place = Callable[..., Placement]


class Convolutions(nn.Module):
    """Two convolutions of four channels for a function to put together, and a normalisation and a constant."""

    def __init__(self, function: Function, tail: nn.Module) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.norm, self.shift = nn.LayerNorm(8), nn.Parameter(torch.randn(4, 1, 1))
        self.function = function
        self.tail = tail

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.tail(self.function(self, x))


@pytest.fixture
def answered(graph_of: Callable[[nn.Module, tuple[int, ...]], GraphModule]) -> Place:
    """Where quantization goes when the function's result is what the model answers."""
    return lambda function: place(graph_of(Convolutions(function, nn.Identity()), SHAPE))


@pytest.fixture
def placed(graph_of: Callable[[nn.Module, tuple[int, ...]], GraphModule]) -> Place:
    """Where quantization goes when a linear layer, which is left out, reads the function's result."""

    def placed(function: Function) -> Placement:
        module = Convolutions(function, nn.LazyLinear(3))
        module(torch.zeros(1, *SHAPE))  # the layer takes its size from what it is given first
        placement = place(graph_of(module, SHAPE))
        tensors = {name: group for name, group in placement.tensors.items() if name != "linear"}
        return Placement(tuple(name for name in placement.layers if name != "linear"), tensors)

    return placed


def groups(placement: Placement) -> list[set[str]]:
    """The tensors that share a scale, where more than one does."""
    members: dict[str, set[str]] = {}
    for name, group in placement.tensors.items():
        members.setdefault(group, set()).add(name)
    return [names for names in members.values() if len(names) > 1]


# Which results become INT8: what a ReLU is fused into does not.


@pytest.mark.parametrize(
    ("function", "activation"),
    [
        pytest.param(lambda m, x: nn.functional.relu6(m.one(x)), "relu6", id="relu6"),
        pytest.param(lambda m, x: nn.functional.hardtanh(m.one(x), 0.0, 6.0), "hardtanh", id="hardtanh"),
        pytest.param(lambda m, x: m.one(x).clamp(0, 6), "clamp", id="clamp"),
        pytest.param(lambda m, x: torch.relu(m.one(x)), "relu", id="relu"),
    ],
)
def test_a_convolution_and_its_relu_are_quantized_once_after_both(
    placed: Place, function: Function, activation: str
) -> None:
    placement = placed(function)
    assert placement.layers == ("conv2d",)
    assert list(placement.tensors) == ["x", activation]


def test_a_sum_and_its_relu_are_quantized_once_after_both(placed: Place) -> None:
    placement = placed(lambda m, x: torch.relu(m.one(x) + m.two(x.sigmoid())))
    assert set(placement.tensors) == {"x", "sigmoid", "conv2d", "conv2d_1", "relu"}


def test_a_convolution_that_others_read_too_is_quantized_itself(placed: Place) -> None:
    def function(m: Convolutions, x: torch.Tensor) -> torch.Tensor:
        y = m.one(x)
        return torch.relu(y) + y

    assert list(placed(function).tensors) == ["x", "conv2d", "relu", "add"]


def test_a_clip_to_another_range_is_not_fused(placed: Place) -> None:
    placement = placed(lambda m, x: nn.functional.hardtanh(m.one(x), -1.0, 1.0))
    assert list(placement.tensors) == ["x", "conv2d", "hardtanh"]


@pytest.mark.parametrize("name", ["silu", "hardswish", "sigmoid", "tanh", "gelu", "hardsigmoid", "elu", "leaky_relu"])
def test_other_activations_have_an_int8_input_and_output(placed: Place, name: str) -> None:
    placement = placed(lambda m, x: getattr(nn.functional, name)(m.one(x)))
    assert list(placement.tensors) == ["x", "conv2d", name]
    assert groups(placement) == []


def test_a_product_of_two_activations_is_no_layer(placed: Place) -> None:
    placement = placed(lambda m, x: m.one(x) @ m.two(x))
    assert placement.layers == ("conv2d", "conv2d_1")
    assert list(placement.tensors) == ["x", "conv2d", "conv2d_1", "matmul"]


def test_a_convolution_with_computed_weights_is_no_layer(answered: Place) -> None:
    placement = answered(lambda m, x: nn.functional.conv2d(x, torch.softmax(x, 1)))
    assert placement.layers == ()
    assert "conv2d" not in placement.tensors


def test_an_unknown_op_stays_float_with_what_only_it_reads(answered: Place) -> None:
    placement = answered(lambda m, x: torch.cumsum(torch.cumsum(x, 1), 1))
    assert placement == Placement((), {})


def test_the_result_of_an_unknown_op_is_quantized_where_a_layer_reads_it(placed: Place) -> None:
    placement = placed(lambda m, x: m.one(torch.cumsum(x, 1)))
    assert list(placement.tensors) == ["cumsum", "conv2d"]


def test_constants_that_are_added_are_tensors_but_weights_are_not(placed: Place) -> None:
    tensors = placed(lambda m, x: m.one(x).sigmoid() + m.shift).tensors
    assert set(tensors) == {"shift", "x", "conv2d", "sigmoid", "add"}


def test_parameters_of_a_normalisation_are_no_tensors(placed: Place) -> None:
    assert list(placed(lambda m, x: m.norm(m.one(x))).tensors) == ["x", "conv2d", "layer_norm"]


def test_index_tensors_are_left_alone(answered: Place) -> None:
    placement = answered(lambda m, x: m.one(x)[:, torch.tensor([0, 2])])
    assert list(placement.tensors) == ["x", "conv2d"]


# Which tensors share one scale.


def test_a_concatenation_shares_its_scale_with_what_it_concatenates(placed: Place) -> None:
    placement = placed(lambda m, x: torch.cat([m.one(x), torch.relu(m.two(x))], 1))
    assert groups(placement) == [{"conv2d", "relu", "cat"}]
    assert placement.tensors["cat"] == "conv2d"


def test_the_parts_of_a_chunk_share_its_scale(placed: Place) -> None:
    def function(m: Convolutions, x: torch.Tensor) -> torch.Tensor:
        first, second = m.one(x).chunk(2, 1)
        return torch.cat([second, first], 1)

    assert groups(placed(function)) == [{"conv2d", "getitem", "getitem_1", "cat"}]


@pytest.mark.parametrize(
    ("function", "name"),
    [
        pytest.param(lambda m, x: nn.functional.max_pool2d(m.one(x), 2), "max_pool2d", id="maximum"),
        pytest.param(lambda m, x: nn.functional.avg_pool2d(m.one(x), 2), "avg_pool2d", id="average"),
        pytest.param(lambda m, x: nn.functional.pad(m.one(x), (1, 1, 1, 1)), "pad", id="pad"),
        pytest.param(lambda m, x: m.one(x).reshape(1, 4, 64), "reshape", id="reshape"),
        pytest.param(lambda m, x: m.one(x).transpose(1, 2), "transpose", id="transpose"),
        pytest.param(lambda m, x: m.one(x)[:, 1:3], "slice_1", id="slice"),
    ],
)
def test_ops_that_move_or_select_values_keep_the_scale(placed: Place, function: Function, name: str) -> None:
    assert groups(placed(function)) == [{"conv2d", name}]


def test_unions_chain(placed: Place) -> None:
    def function(m: Convolutions, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([nn.functional.max_pool2d(m.one(x), 2).flatten(1), m.two(x).flatten(1)], 1)

    names = {"conv2d", "max_pool2d", "flatten", "conv2d_1", "flatten_1", "cat"}
    assert groups(placed(function)) == [names]


def test_layers_do_not_share_scales(placed: Place) -> None:
    assert groups(placed(lambda m, x: m.two(m.one(x)))) == []


def test_what_has_a_fixed_range_passes_it_on(placed: Place) -> None:
    placement = placed(lambda m, x: m.one(x).sigmoid().flatten(1))
    assert groups(placement) == [{"sigmoid", "flatten"}]
    assert placement.tensors["flatten"] == "sigmoid"


def test_what_has_a_fixed_range_keeps_out_of_a_concatenation(placed: Place) -> None:
    def function(m: Convolutions, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([m.one(x).softmax(1).transpose(2, 3), m.two(x)], 1)

    assert groups(placed(function)) == [{"softmax", "transpose"}, {"conv2d_1", "cat"}]


# What the model answers.


def test_an_answer_that_no_layer_writes_stays_float(answered: Place) -> None:
    placement = answered(lambda m, x: nn.functional.hardswish(m.one(x)).mean((2, 3)).softmax(1))
    assert list(placement.tensors) == ["x", "conv2d", "hardswish", "mean"]
    assert placement.answers == frozenset()


def test_an_answer_that_a_layer_writes_is_quantized_and_known_as_the_answer(answered: Place) -> None:
    placement = answered(lambda m, x: torch.relu(m.one(x)).flatten(1))
    assert placement.tensors == {"x": "x", "relu": "relu", "flatten": "relu"}
    assert placement.answers == {"relu"}


def test_an_answer_that_a_layer_reads_as_well_is_quantized(answered: Place) -> None:
    def function(m: Convolutions, x: torch.Tensor) -> torch.Tensor:
        y = m.one(x).sigmoid()
        return torch.cat([y, m.two(y)], 1)

    assert list(answered(function).tensors) == ["x", "conv2d", "sigmoid", "conv2d_1", "cat"]


# What runtimes fuse.


def test_fused_activations_and_their_bounds(model: LoadedModel) -> None:
    fused = {node.name: fused_activation(node) for node in model.graph.graph.nodes}
    bounds = {name: activation_bounds(after) for name, after in fused.items() if after is not None}
    assert bounds == {"conv2d": (0.0, 6.0), "add": (0.0, float("inf"))}


def test_a_whole_network(model: LoadedModel) -> None:
    placement = place(model.graph)
    assert placement.layers == ("conv2d", "conv2d_1", "conv2d_2", "linear")
    assert list(placement.tensors) == ["x", "hardtanh", "conv2d_1", "hardswish", "conv2d_2", "relu", "mean", "linear"]
    assert groups(placement) == []


# Between float neighbours.


def test_a_standard_deviation_stays_float(placed: Place) -> None:
    """Squares need more than 8 bits, and no runtime has an integer kernel for them."""

    def contrast(net: Convolutions, x: torch.Tensor) -> torch.Tensor:
        features = net.one(x)
        mean = features.mean((2, 3), keepdim=True)
        deviation = (features - mean).pow(2).mean((2, 3), keepdim=True).sqrt()
        return net.two(deviation + mean)

    placement = placed(contrast)
    assert {"conv2d", "mean", "add", "conv2d_1"} <= set(placement.tensors)
    assert not {"sub", "pow_1", "mean_1"} & set(placement.tensors)


def test_an_activation_of_an_int8_layer_stays_int8_before_float_ops(placed: Place) -> None:
    placement = placed(lambda net, x: net.one(x).relu().sqrt())
    assert "relu" in placement.tensors
