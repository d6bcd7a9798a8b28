"""Ops that some converter once got wrong, or could not take, in every runtime that is installed and runs here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pocketfit.compress.quantize.calibrate import calibrate
from pocketfit.compress.quantize.express import expressible
from pocketfit.compress.quantize.placement import place
from pocketfit.compress.quantize.plan import float_plan, int8_plan
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.errors import ConversionError
from pocketfit.graph.running import run_graph
from pocketfit.models.canonical import canonicalise
from pocketfit.runtimes import BUILT_IN, get_runtime, is_installed, runs_here
from pocketfit.types import LoadedModel, Precision, QuantizationPlan, Variant

pytestmark = pytest.mark.slow

IMAGE, ROWS = (4, 8, 8), (8, 16)

UP = torch.ones(4, 2, 3, 3) / 9


def _heads(x: torch.Tensor) -> torch.Tensor:
    return x.reshape(-1, 8, 2, 8).transpose(1, 2)


OPS: dict[str, tuple[tuple[int, ...], Callable[[torch.Tensor], torch.Tensor]]] = {
    "constant less a tensor": (IMAGE, lambda x: 1 - x),
    "copies of an image": (IMAGE, lambda x: x.repeat(1, 2, 1, 1)),
    "norm": (IMAGE, lambda x: F.normalize(x, dim=1)),
    "softmax over the width": (IMAGE, lambda x: x.softmax(-1)),
    "standard deviation": (IMAGE, lambda x: x.std((2, 3))),
    "stride left out": (IMAGE, lambda x: F.max_pool2d(x, 2)),
    "uneven windows": (IMAGE, lambda x: F.adaptive_avg_pool2d(x, 3)),
    "output padding": (IMAGE, lambda x: F.conv_transpose2d(x, UP, stride=2, padding=1, output_padding=(1, 0))),
    "causal attention": (ROWS, lambda x: F.scaled_dot_product_attention(*[_heads(x)] * 3, is_causal=True)),
    "sequence": (ROWS, lambda x: F.conv1d(x, torch.ones(4, 8, 3) / 8, padding=1)),
}


class After(nn.Module):
    def __init__(self, shape: tuple[int, ...], op: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(shape[0], shape[0], 1) if len(shape) == 3 else nn.Linear(shape[-1], shape[-1])
        self.op = op

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.op(self.layer(x))


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("op", OPS)
def test_float_answers_are_the_graphs(op: str, name: str, tmp_path: Path) -> None:
    runtime = get_runtime(name)
    if not (is_installed(runtime) and runs_here(runtime)):
        pytest.skip(f"{name} is not here")
    shape, function = OPS[op]
    model = canonicalise(After(shape, function), shape, name="op")
    samples = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    session = runtime.open(runtime.convert(Variant(model, float_plan(model, Precision.FLOAT32)), tmp_path))
    got = np.concatenate([session.run([sample[None]])[0] for sample in samples])
    # The same float32 sums in another order.
    np.testing.assert_allclose(got, run_graph(model.graph, [samples]), rtol=1e-4, atol=1e-5)


SQUARE = torch.eye(4).flip(0).reshape(4, 4, 1, 1) - 0.25

IN_INT8: dict[str, tuple[tuple[int, ...], Callable[[torch.Tensor], torch.Tensor]]] = {
    "constant less a tensor": (IMAGE, lambda x: F.avg_pool2d(1 - x, 2)),
    "causal attention": (ROWS, lambda x: F.scaled_dot_product_attention(*[_heads(x)] * 3, is_causal=True)),
    "float beside integers": (IMAGE, lambda x: torch.cat([(4 * x.softmax(1)).sum(1, keepdim=True), x.sigmoid()], 1)),
    "normalised": (ROWS, lambda x: F.linear(F.normalize(x, dim=-1), torch.ones(3, 16) / 4)),
    "read with channels first and last": (
        IMAGE,
        lambda x: x + F.linear(x.movedim(1, 3), SQUARE.flatten(1)).movedim(3, 1),
    ),
    "softplus, parameters given": (IMAGE, lambda x: F.softplus(x, 2.0, 20.0).mean((2, 3))),
    "sum cut at zero": (IMAGE, lambda x: F.conv2d((x + F.conv2d(x, SQUARE)).relu(), SQUARE)),
    "mish between images": (IMAGE, lambda x: F.conv2d(F.mish(x), torch.ones(2, 4, 1, 1) / 4)),
    "transposed convolution of a sequence": (ROWS, lambda x: F.conv_transpose1d(x, torch.ones(8, 4, 4) / 9, stride=2)),
}


@pytest.mark.parametrize(
    ("op", "name"),
    [
        ("constant less a tensor", "onnxruntime"),
        ("constant less a tensor", "litert"),
        ("float beside integers", "litert"),
        ("normalised", "litert"),
        ("read with channels first and last", "litert"),
        ("sum cut at zero", "mnn"),
        *(("causal attention", name) for name in BUILT_IN if name != "executorch"),
        *((op, "executorch") for op in IN_INT8),
    ],
)
def test_int8_answers_are_the_plans(op: str, name: str, tmp_path: Path) -> None:
    runtime = get_runtime(name)
    if not (is_installed(runtime) and runs_here(runtime)):
        pytest.skip(f"{name} is not here")
    shape, function = IN_INT8[op]
    model = canonicalise(After(shape, function), shape, name="op")
    samples = np.random.default_rng(0).normal(size=(16, *shape)).astype(np.float32)
    plan = _int8(model, samples)
    plan, _ = expressible(plan, model, runtime.info)
    session = runtime.open(runtime.convert(Variant(model, plan), tmp_path))
    got = np.concatenate([session.run([sample[None]])[0] for sample in samples])
    expected = simulate(model, plan, runtime.info.scheme, [samples])
    # Two steps of 8 bits, as the contract allows.
    assert np.abs(got - expected).max() <= 2 * np.ptp(expected) / 255


def _int8(model: LoadedModel, samples: np.ndarray) -> QuantizationPlan:
    statistics = calibrate(model.graph, [samples], place(model.graph).tensors)
    return int8_plan(model, statistics, data_fingerprint="", samples=len(samples))


def test_a_file_that_litert_cannot_load_names_the_op(tmp_path: Path) -> None:
    runtime = get_runtime("litert")
    if not is_installed(runtime):
        pytest.skip("litert is not here")
    model = canonicalise(After(IMAGE, lambda x: x.flatten(1).topk(3)[0]), IMAGE, name="op")
    with pytest.raises(ConversionError, match="has no kernel for STABLEHLO_SORT"):
        runtime.convert(Variant(model, float_plan(model, Precision.FLOAT32)), tmp_path)
