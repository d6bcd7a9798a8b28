from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F

from pocketfit.graph.replacements import REPLACEMENTS

# Name, what it is done to, and the ops that are left.
CASES = [
    ("silu", F.silu, ["hardswish.default"]),
    ("gelu", F.gelu, ["gelu.default"]),
    ("quick-gelu", F.gelu, ["mul.Tensor", "sigmoid.default", "mul.Tensor"]),
    ("sigmoid", torch.sigmoid, ["hardsigmoid.default"]),
    ("hardswish", F.hardswish, ["add.Tensor", "relu6.default", "mul.Tensor", "mul.Tensor"]),
    ("hardsigmoid", F.hardsigmoid, ["add.Tensor", "relu6.default", "mul.Tensor"]),
    ("adaptive-pooling", lambda x: F.adaptive_avg_pool2d(x, (2, 3)), ["avg_pool2d.default"]),
    ("adaptive-pooling", lambda x: F.adaptive_max_pool2d(x, 2), ["max_pool2d.default"]),
    ("bicubic", lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"), ["upsample_bilinear2d.vec"]),
    (
        "align-corners",
        lambda x: F.interpolate(x, size=(9, 7), mode="bilinear", align_corners=True),
        ["upsample_bilinear2d.vec"],
    ),
]
LEFT = [
    ("gelu", lambda x: F.gelu(x, approximate="tanh")),
    ("adaptive-pooling", lambda x: F.adaptive_avg_pool2d(x, 4)),
    ("adaptive-pooling", lambda x: F.adaptive_max_pool2d(x, 2, return_indices=True)[1].float()),
    ("adaptive-pooling", lambda x: x.split(2, 1)[0]),
    ("align-corners", lambda x: F.interpolate(x, scale_factor=2, mode="bilinear")),
]
BY_NAME = {one.name: one for one in REPLACEMENTS}


@pytest.mark.parametrize(("name", "function", "left"), CASES)
def test_a_replacement_leaves_what_it_says(export, operations, image, name, function, left):
    graph = export(function, image)
    expected = graph(image)
    assert BY_NAME[name].apply(graph) == 1
    assert operations(graph) == left
    if BY_NAME[name].equal:
        # The same numbers, multiplied by a sixth or summed in another order.
        torch.testing.assert_close(graph(image), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "function"), LEFT)
def test_the_rest_is_left_alone(export, image, name, function):
    assert BY_NAME[name].apply(export(function, image)) == 0


@pytest.mark.parametrize(
    ("name", "function"), [("silu", F.silu), ("gelu", F.gelu), ("quick-gelu", F.gelu), ("sigmoid", torch.sigmoid)]
)
def test_an_activation_is_off_by_as_much_as_is_said(export, image, name, function):
    said = float(re.search(r"off by ([\d.]+) at most", BY_NAME[name].becomes)[1])
    graph, x = export(function, image), torch.linspace(-12, 12, 144 * 700).reshape(700, 4, 6, 6)
    BY_NAME[name].apply(graph)
    measured = float((graph(x) - function(x)).abs().max())
    # What is said has one or two digits.
    assert 0.9 * said < measured < 1.1 * said


def test_what_one_leaves_a_later_one_replaces(export, operations, image):
    graph = export(F.silu, image)
    assert [one.apply(graph) for one in REPLACEMENTS if one.name in ("silu", "hardswish")] == [1, 1]
    assert "relu6.default" in operations(graph)
