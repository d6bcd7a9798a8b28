from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from pocketfit.graph import WriteOutShorthands

SHORTHANDS = [
    (lambda x: 1 - x, ["sub.Tensor"]),
    (lambda x: torch.rsub(x, x * 2), ["mul.Tensor", "sub.Tensor"]),
    (lambda x: x.clamp_min(0.1), ["clamp.default"]),
    (lambda x: x.clamp_max(0.1), ["clamp.default"]),
    (lambda x: x.repeat(1, 2, 1, 3), ["cat.default", "cat.default"]),
    (
        lambda x: F.channel_shuffle(torch.cat([x, x], 1), 2),
        ["cat.default", "reshape.default", "transpose.int", "reshape.default"],
    ),
    (lambda x: F.mish(x), ["softplus.default", "tanh.default", "mul.Tensor"]),
    (lambda x: torch.addcmul(x, x, x), ["mul.Tensor", "add.Tensor"]),
    (lambda x: torch.addcdiv(x, x, x), ["div.Tensor", "add.Tensor"]),
    (lambda x: x.chunk(4, 2)[2].relu(), None),
    (lambda x: x.norm(dim=1), ["pow.Tensor_Scalar", "sum.dim_IntList", "sqrt.default"]),
    (lambda x: x.norm(dim=(2, 3), keepdim=True), ["pow.Tensor_Scalar", "sum.dim_IntList", "sqrt.default"]),
    (lambda x: x.var((2, 3), unbiased=False), ["mean.dim", "sub.Tensor", "pow.Tensor_Scalar", "mean.dim"]),
    (lambda x: x.var(1, keepdim=True), ["mean.dim", "sub.Tensor", "pow.Tensor_Scalar", "mean.dim", "mul.Tensor"]),
    (lambda x: x.std((2, 3), correction=2), None),
    (lambda x: x.std((1, 2), keepdim=True), None),
]
LEFT = [
    lambda x: torch.rsub(x, x, alpha=2),
    lambda x: x.repeat(2, 1, 1, 1),
    lambda x: x.repeat(3, 1, 1, 1, 1),
    lambda x: torch.addcmul(x, x, x, value=2),
    lambda x: x.chunk(3, 2)[1],
    lambda x: x.norm(p=1, dim=1),
    lambda x: x.var(),
]


@pytest.mark.parametrize(("function", "becomes"), SHORTHANDS)
def test_a_shorthand_is_what_it_is_short_for(export, operations, image, function, becomes):
    graph = export(function, image)
    expected = graph(image)
    assert WriteOutShorthands()(graph, image) == 1
    if becomes is not None:
        assert operations(graph) == becomes
    # The same terms, summed in another order.
    torch.testing.assert_close(graph(image), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("function", LEFT)
def test_the_rest_is_left_alone(export, image, function):
    assert WriteOutShorthands()(export(function, image), image) == 0
