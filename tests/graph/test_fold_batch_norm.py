from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.fx import GraphModule

from pocketfit.graph import FoldBatchNorm, RemoveDeadCode
from pocketfit.graph.base import relative_error


def randomise(module: nn.Module, seed: int = 0) -> nn.Module:
    """Weights and statistics as after training: nothing is 0 or 1 by accident."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            random = torch.randn(tensor.shape, generator=generator)
            tensor.copy_(random.abs() + 0.1 if name.endswith("running_var") else random)
    return module.eval()


def folded(export, module: nn.Module, example: torch.Tensor) -> tuple[GraphModule, int, float]:
    """The graph, how many normalisations went, and the change of the output as a share of its range."""
    with torch.no_grad():
        expected = module(example)
        graph = export(module, example)
        changes = FoldBatchNorm()(graph, example)
        RemoveDeadCode()(graph, example)
        return graph, changes, relative_error(expected, graph(example))


def input_for(layer: nn.Module) -> torch.Tensor:
    dimensions = {"1d": 1, "2d": 2, "3d": 3}.get(type(layer).__name__[-2:], 0)
    channels = getattr(layer, "in_channels", None) or layer.in_features
    return torch.randn(3, channels, *[5] * dimensions, generator=torch.Generator().manual_seed(2))


def norm_for(layer: nn.Module) -> nn.Module:
    kind = {"1d": nn.BatchNorm1d, "2d": nn.BatchNorm2d, "3d": nn.BatchNorm3d}
    channels = getattr(layer, "out_channels", None) or layer.out_features
    return kind.get(type(layer).__name__[-2:], nn.BatchNorm1d)(channels)


LAYERS = [
    nn.Conv1d(4, 6, 3),
    nn.Conv2d(4, 6, 3, bias=False),
    nn.Conv2d(4, 6, 3, stride=2, padding=1),
    nn.Conv2d(4, 8, 3, groups=4, bias=False),
    nn.Conv3d(4, 6, 3),
    nn.ConvTranspose1d(4, 6, 3),
    nn.ConvTranspose2d(4, 6, 3, bias=False),
    nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
    nn.Linear(4, 6),
    nn.Linear(4, 6, bias=False),
]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_folding_keeps_the_output(export, operations, layer):
    module = randomise(nn.Sequential(layer, norm_for(layer)))
    graph, changes, error = folded(export, module, input_for(layer))
    assert changes == 1
    assert not any("batch_norm" in operation for operation in operations(graph))
    # One layer rounds once more than before: a few units in the last place of float32, 6e-8, of sums of some 36 terms.
    assert error < 1e-5


@settings(max_examples=20, deadline=None)
@given(
    inputs=st.integers(1, 3),
    outputs=st.integers(1, 3),
    groups=st.integers(1, 3),
    bias=st.booleans(),
    affine=st.booleans(),
    transposed=st.booleans(),
    epsilon=st.sampled_from([1e-3, 1e-5, 1e-8]),
    seed=st.integers(0, 1000),
)
def test_folding_keeps_the_output_of_any_convolution(inputs, outputs, groups, bias, affine, transposed, epsilon, seed):
    from torch.export import export as torch_export

    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    layer = kind(groups * inputs, groups * outputs, 3, groups=groups, bias=bias)
    module = randomise(nn.Sequential(layer, nn.BatchNorm2d(groups * outputs, eps=epsilon, affine=affine)), seed)
    example = torch.randn(2, groups * inputs, 5, 5, generator=torch.Generator().manual_seed(seed))
    graph = torch_export(module, (example,)).module(check_guards=False)
    assert FoldBatchNorm()(graph, example) == 1
    # As above.
    assert relative_error(module(example), graph(example)) < 1e-5


def test_the_weight_keeps_its_path_and_a_bias_appears_beside_it(export):
    module = randomise(nn.Sequential(nn.Conv2d(4, 6, 3, bias=False), nn.BatchNorm2d(6)))
    before = module[0].weight.clone()
    graph, _, _ = folded(export, module, torch.zeros(2, 4, 5, 5))
    assert sorted(graph.state_dict()) == ["0.bias", "0.weight"]
    factor = module[1].weight / torch.sqrt(module[1].running_var + module[1].eps)
    torch.testing.assert_close(graph.get_parameter("0.weight"), before * factor[:, None, None, None])


def test_a_name_that_is_taken_is_left_to_its_owner(export):
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 4, 1, 1))
            self.bias = nn.Parameter(torch.randn(4))
            self.norm = nn.BatchNorm2d(4)

        def forward(self, x):
            return self.norm(nn.functional.conv2d(x, self.weight)) + self.bias[:, None, None]

    graph, changes, _ = folded(export, randomise(Shared()), torch.ones(2, 4, 3, 3))
    assert changes == 1
    assert sorted(graph.state_dict()) == ["bias", "bias_1", "weight"]


def test_two_layers_with_one_bias_get_one_each(export):
    class OneBias(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.norm = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
            self.second.bias = self.first.bias

        def forward(self, x):
            return self.second(self.norm(self.first(x)))

    _, changes, error = folded(export, randomise(OneBias()), torch.ones(2, 4, 3, 3))
    assert changes == 1
    assert error < 1e-5  # as above


class Branching(nn.Module):
    """The convolution is read beside its normalisation."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)

    def forward(self, x):
        y = self.conv(x)
        return y + self.norm(y)


class Twice(Branching):
    """The weight is shared by a convolution that no normalisation follows."""

    def forward(self, x):
        return self.norm(self.conv(self.conv(x)))


LEFT_ALONE = {
    "after an activation": nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)),
    "first of all": nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3)),
    "result read elsewhere": Branching(),
    "shared weight": Twice(),
}


@pytest.mark.parametrize("case", LEFT_ALONE)
def test_left_alone(export, operations, image, case):
    graph, changes, error = folded(export, randomise(LEFT_ALONE[case]), image)
    assert changes == 0
    assert "batch_norm.default" in operations(graph)
    assert error == 0  # nothing was touched


def test_a_linear_layer_over_a_sequence_is_left_alone(export):
    class Sequence(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.norm = nn.Linear(4, 5), nn.BatchNorm1d(5)

        def forward(self, x):
            return self.norm(self.linear(x))

    _, changes, _ = folded(export, randomise(Sequence()), torch.randn(2, 5, 4))
    assert changes == 0


@pytest.mark.parametrize("variance", [0.0, 1e-30, 1e-12])
def test_a_tiny_variance_is_exact(export, variance):
    module = randomise(nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)))
    module[1].running_var[1] = variance
    _, changes, error = folded(export, module, input_for(module[0]))
    assert changes == 1
    # The factor is 1/√1e-5 = 316 at most, and multiplies rounding errors of 1e-7 before and after alike.
    assert error < 1e-5


def test_a_factor_that_overflows_is_left_alone(export, operations, image):
    module = randomise(nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4, eps=0)))
    module[1].running_var[1] = 0
    graph = export(module, image)
    assert FoldBatchNorm().apply(graph) == 0
    assert "batch_norm.default" in operations(graph)


def test_the_native_operation_is_folded_too(image):
    module = randomise(nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU()))
    graph = torch.export.export(module, (image,)).run_decompositions({}).module(check_guards=False)
    assert any("native_batch_norm" in str(node.target) for node in graph.graph.nodes)
    assert FoldBatchNorm()(graph, image) == 1
    RemoveDeadCode()(graph, image)
    assert not any("batch_norm" in str(node.target) for node in graph.graph.nodes)
    assert relative_error(module(image), graph(image)) < 1e-5  # as above


def test_statistics_of_the_batch_are_left_alone(export, image):
    module = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))
    assert FoldBatchNorm()(export(module, image), image) == 0
