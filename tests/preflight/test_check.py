import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pocketfit.graph.calls import by_op
from pocketfit.graph.running import run_graph
from pocketfit.models.canonical import canonicalise
from pocketfit.preflight import support
from pocketfit.preflight.check import Outlook, check
from pocketfit.preflight.rewrites import expansions, offered, rewrite
from pocketfit.preflight.support import Verdict
from pocketfit.runtimes import get_runtime
from pocketfit.types import LoadedModel


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.silu(self.one(x))
        return self.head(self.two(x).relu().mean((2, 3)))


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return canonicalise(Net(), (3, 8, 8), name="net")


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table in which LiteRT refuses one op and takes every other that has a name there."""
    ops = ("conv2d", "relu", "mean.dim", "linear", "mul.Tensor", "sigmoid", "exp", "add.Tensor")
    names = [f"aten.{op}" if "." in op else f"aten.{op}.default" for op in ops]
    table = {name: {"litert": "", "ncnn": ""} for name in names}
    table["aten.silu.default"] = {"litert": "Lowering not found: aten.silu.default", "ncnn": ""}
    monkeypatch.setattr(support, "_table", lambda: support._Table({"torch": "2"}, table))


def outlook(model: LoadedModel, runtime: str) -> Outlook:
    (one,) = check(model, [get_runtime(runtime)])
    return one


def test_every_op_of_the_model_is_judged(model: LoadedModel, refusing: None) -> None:
    one = outlook(model, "litert")
    assert one.ops == 6
    assert [doubt.op for doubt in one.refused] == ["aten.silu.default"]
    assert one.refused[0].place.code.startswith("x = F.silu")
    assert not outlook(model, "ncnn").doubts


def test_what_was_never_tried_is_not_called_refused(model: LoadedModel, refusing: None) -> None:
    one = outlook(model, "mnn")
    assert {doubt.support.verdict for doubt in one.doubts} == {Verdict.UNTRIED}
    assert not one.refused


def test_a_rewrite_is_offered_where_all_it_leads_to_is_taken(model: LoadedModel, refusing: None) -> None:
    found = offered(expansions(model, {"aten.silu.default"}), "litert")
    assert found["aten.silu.default"]
    assert outlook(model, "litert").refused[0].becomes == found["aten.silu.default"]


def test_no_rewrite_is_offered_into_what_is_refused_too(
    model: LoadedModel, refusing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = support._table()
    lacking = {op: known for op, known in table.ops.items() if op in ("aten.conv2d.default", "aten.silu.default")}
    monkeypatch.setattr(support, "_table", lambda: support._Table(table.versions, lacking))
    assert offered(expansions(model, {"aten.silu.default"}), "litert") == {}


def test_a_rewritten_model_answers_alike(model: LoadedModel) -> None:
    rewritten = rewrite(model, ["aten.silu.default"])
    assert "aten.silu.default" not in by_op(rewritten.graph)
    samples = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(np.float32)
    expected = run_graph(model.graph, [samples])
    # The same function in float32, written in other ops.
    np.testing.assert_allclose(run_graph(rewritten.graph, [samples]), expected, atol=1e-5)
    assert rewritten.dynamic_batch == model.dynamic_batch


def test_int8_is_expected_to_pay_where_the_arithmetic_is(model: LoadedModel) -> None:
    one = outlook(model, "onnxruntime").int8
    assert (one.expectation, one.layers) == ("likely", 3)
    assert one.macs_share == 1.0


def test_int8_is_not_expected_to_pay_for_what_stays_float() -> None:
    class Attention(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.conv_transpose2d(x, torch.ones(3, 8, 4, 4), stride=2)

    found = outlook(canonicalise(Attention(), (3, 8, 8), name="up"), "onnxruntime").int8
    assert found.expectation == "none"


def test_delegates_say_what_they_leave_to_the_cpu(model: LoadedModel) -> None:
    delegates = {one.delegate: one for one in outlook(model, "litert").delegates}
    gpu = delegates["gpu"]
    assert gpu.fallback_ops == ("silu",)
    assert gpu.partitions.count == 2
    assert gpu.macs_share == 1.0


def test_the_table_knows_the_ops_of_every_network() -> None:
    """It is data that a benchmark writes: present, and of the six runtimes."""
    table = support._table()
    assert {"onnxruntime", "litert", "ncnn", "mnn", "executorch", "coreml"} <= table.ops["aten.conv2d.default"].keys()
    assert set(table.ops["aten.conv2d.default"].values()) == {""}
