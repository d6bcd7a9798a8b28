from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pocketfit.compress.quantize.plan import float_plan, plan_to_json
from pocketfit.errors import ConversionError
from pocketfit.graph.running import run_graph
from pocketfit.models.canonical import canonicalise
from pocketfit.models.store import save
from pocketfit.preflight.blame import explain
from pocketfit.preflight.narrow import cut, first_failing, first_failing_in_child
from pocketfit.runtimes import get_runtime, is_installed
from pocketfit.testing.models import Mixed
from pocketfit.testing.plans import case_of
from pocketfit.types import LoadedModel, Precision


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).tanh()
        low, _ = x.flatten(2).chunk(2, dim=2)
        return low.median(1).values.sigmoid() + 1


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return canonicalise(Net(), (3, 8, 8), name="net")


@pytest.mark.parametrize("guilty", ["tanh", "flatten", "chunk", "add"])
def test_the_first_op_that_fails_is_found(model: LoadedModel, guilty: str) -> None:
    order = [node.name for node in model.graph.graph.nodes]
    asked: list[str] = []

    def converts(end: str) -> bool:
        asked.append(end)
        return order.index(end) < order.index(guilty)

    assert first_failing(model.graph, converts) == guilty
    assert len(asked) <= 4  # of seven that give a tensor


def test_where_nothing_converts_no_op_is_to_blame(model: LoadedModel) -> None:
    assert first_failing(model.graph, lambda end: False) == ""


def test_a_shorter_model_answers_what_the_op_gives(model: LoadedModel) -> None:
    sample = np.random.default_rng(0).standard_normal((1, 3, 8, 8)).astype(np.float32)
    shorter, _ = cut(model, float_plan(model, Precision.FLOAT32), "tanh")
    with torch.no_grad():
        expected = nn.functional.conv2d(torch.from_numpy(sample), *model.graph.state_dict().values()).tanh().numpy()
    assert shorter.output.shape == expected.shape
    np.testing.assert_allclose(run_graph(shorter.graph, [sample]), expected, rtol=1e-5)


def test_a_shorter_plan_is_about_what_is_left() -> None:
    case = case_of(Mixed)
    plan = case.plans[Precision.INT8]
    first = next(iter(plan.layers))
    _, shorter = cut(case.model, plan, first)
    assert list(shorter.layers) == [first]
    assert set(shorter.activations) <= set(plan.activations)


@pytest.mark.slow
def test_an_op_that_no_message_names_is_found_by_converting(model: LoadedModel, tmp_path: Path) -> None:
    if not is_installed(get_runtime("onnxruntime")):
        pytest.skip("onnxruntime is not here")
    folder, plan = tmp_path / "model", tmp_path / "plan.json"
    folder.mkdir()
    save(model, folder)
    plan.write_text(plan_to_json(float_plan(model, Precision.FLOAT32)))
    first = first_failing_in_child("onnxruntime", model, folder, plan, {}, tmp_path / "log.txt")
    assert first == "median"
    error = explain(ConversionError("onnxruntime", "it failed."), model.graph, first)
    assert error.message.startswith("it failed. Up to it the model converts, with it no more: median is used in")
