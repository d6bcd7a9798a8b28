"""Channels stay last between the ops of a `.tflite` file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.fx import GraphModule

from pocketfit.compress.quantize.plan import float_plan
from pocketfit.models.canonical import canonicalise
from pocketfit.runtimes import get_runtime
from pocketfit.runtimes.litert_layout import keep_channels_last
from pocketfit.types import LoadedModel, Precision, Variant


class Normed(nn.Module):
    """Normalised by one group and by one a channel between convolutions; read as a mean and as a sequence."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.whole, self.single, self.pairs = nn.GroupNorm(1, 8), nn.GroupNorm(8, 8), nn.GroupNorm(4, 8)
        for norm in (self.whole, self.single, self.pairs):
            nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
        self.middle, self.head = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        stem = self.stem(x)
        x = self.single(self.middle(self.whole(stem)))
        return self.head(x.flatten(2).transpose(1, 2)) + self.head(stem.mean((2, 3)))[:, None]


def model() -> LoadedModel:
    return canonicalise(Normed(), (3, 8, 8), name="normed")


def names(graph: GraphModule) -> list[str]:
    return [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]


def test_the_graph_computes_the_same() -> None:
    graph = model().graph
    sample = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    expected = graph(sample)
    keep_channels_last(graph)
    graph.recompile()
    assert not {"aten.group_norm.default", "aten.transpose.int", "aten.flatten.using_ints"} & {*names(graph)}
    # The variance is summed in another order.
    torch.testing.assert_close(graph(sample), expected, rtol=0, atol=1e-5)


def test_other_groups_and_other_transpositions_are_left_alone() -> None:
    class Left(Normed):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.pairs(self.stem(x))
            return x.flatten(1, 2).transpose(1, 2) + x.mean(1).sum() + x.mean((2, 3), keepdim=True).flatten(1).sum()

    graph = canonicalise(Left(), (3, 8, 8), name="left").graph
    before = names(graph)
    keep_channels_last(graph)
    assert names(graph) == before


@pytest.mark.slow
def test_only_the_input_is_turned(tmp_path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    loaded, runtime = model(), get_runtime("litert")
    artifact = runtime.convert(Variant(loaded, float_plan(loaded, Precision.FLOAT32)), tmp_path)
    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(str(artifact.files[0]), experimental_op_resolver_type=resolver)
    assert [op["op_name"] for op in interpreter._get_ops_details()].count("TRANSPOSE") == 1
    sample = np.random.default_rng(0).standard_normal((1, 3, 8, 8)).astype(np.float32)
    with torch.no_grad():
        expected = loaded.graph(torch.from_numpy(sample)).numpy()
    # Float32 kernels that sum in another order.
    np.testing.assert_allclose(runtime.open(artifact).run([sample])[0], expected, atol=1e-5)
