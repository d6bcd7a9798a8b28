"""Artifacts of each runtime, intact and with one layer damaged, beside the plan's simulation."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch.fx import Interpreter, Node

from pocketfit.runtimes import BUILT_IN, get_runtime, runs_here
from pocketfit.runtimes.ncnn_format import Layer, read_network, write_network
from pocketfit.testing import Artifacts, case_of
from pocketfit.testing.models import Mixed, PlainRelu
from pocketfit.types import Artifact, Precision, Scheme, Traceable
from pocketfit.verify.layers import LayerMatch, Trace
from pocketfit.verify.layers_work import trace
from pocketfit.verify.replay import SAME_DB, replay

INT8 = Precision.INT8
FLOAT = Precision.FLOAT32
SHOWING = [name for name in BUILT_IN if runs_here(get_runtime(name)) and isinstance(get_runtime(name), Traceable)]


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Artifacts]]:
    """By runtime; converters, which otherwise run in a process of their own, set variables for themselves."""
    kept = dict(os.environ)
    yield {name: Artifacts(get_runtime(name), tmp_path_factory.mktemp(name)) for name in SHOWING}
    os.environ.clear()
    os.environ.update(kept)


def traced(artifact: Artifact) -> Trace:
    case = case_of(Mixed)
    return trace(
        artifact, case.variant(artifact.precision), [case.samples[index : index + 1].copy() for index in range(2)]
    )


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "litert" else ()) for name in SHOWING]
)
def test_an_intact_artifact_has_no_diverging_layer(name: str, artifacts: dict[str, Artifacts]) -> None:
    found = traced(artifacts[name].get(Mixed, INT8))
    assert found.first is None
    # ncnn hands an answer over in float32, and its depthwise layers move roundings: see runtimes/ncnn.py.
    assert found.answer_db > 35
    sources = [layer.source.removesuffix(".2").removesuffix(".0") for layer in found.layers if layer.source]
    assert sources == ["stem", "depthwise", "project", "left", "right", "pool", "head", "classifier"]
    assert [layer.op for layer in found.layers if not layer.source] == ["add", "cat", "mean"]


@pytest.mark.parametrize(
    ("layer", "source"),
    [("conv2d", "stem.0"), ("conv2d_1", "depthwise.0"), ("conv2d_4", "right.0"), ("linear", "classifier")],
)
def test_a_damaged_weight_of_onnx_runtime_is_found(
    layer: str, source: str, artifacts: dict[str, Artifacts], tmp_path: Path
) -> None:
    broken = damaged_onnx(artifacts["onnxruntime"].get(Mixed, INT8), f"_plan_{layer}_weight", tmp_path)
    found = traced(broken)
    assert found.first is not None
    assert (found.first.name, found.first.source) == (layer, source)
    assert found.first.sqnr_db < SAME_DB
    assert found.answer_db < SAME_DB
    before = found.layers[: found.layers.index(found.first)]
    assert all(one.same for one in before)


def damaged_onnx(artifact: Artifact, initializer: str, folder: Path) -> Artifact:
    """The first output channel of a weight has the other sign."""
    model = onnx.load(artifact.files[0])
    (stored,) = [one for one in model.graph.initializer if one.name == initializer]
    values = numpy_helper.to_array(stored).copy()
    values[0] = -values[0]
    stored.CopyFrom(numpy_helper.from_array(values, initializer))
    path = folder / "model.onnx"
    onnx.save(model, path)
    return dataclasses.replace(artifact, files=(path,))


@pytest.mark.parametrize("precision", [INT8, FLOAT])
def test_a_damaged_layer_of_ncnn_is_found_though_its_activation_is_fused(
    precision: Precision, artifacts: dict[str, Artifacts], tmp_path: Path
) -> None:
    artifact = artifacts["ncnn"].get(Mixed, precision)
    assert traced(artifact).first is None
    layers = list(read_network(*artifact.files))
    place = [index for index, layer in enumerate(layers) if layer.kind == "Convolution"][1]
    layers[place] = damaged_ncnn(layers[place])
    broken = dataclasses.replace(artifact, files=(tmp_path / "model.param", tmp_path / "model.bin"))
    write_network(layers, *broken.files)
    found = traced(broken).first
    assert found is not None
    assert found.source == "project.0"  # the first convolution that is neither depthwise nor the stem


def damaged_ncnn(layer: Layer) -> Layer:
    weight, *others = layer.blobs
    return dataclasses.replace(layer, blobs=(dataclasses.replace(weight, values=weight.values[::-1].copy()), *others))


class Shown(Interpreter):
    """The tensors of a runtime that computes the float graph with its channels last and fuses activations."""

    def __init__(self, graph: torch.fx.GraphModule, change: dict[str, float]) -> None:
        super().__init__(graph)
        self.change = change
        self.tensors: list[tuple[str, np.ndarray]] = []

    def run_node(self, n: Node) -> object:
        value = super().run_node(n)
        if isinstance(value, torch.Tensor) and n.op in ("placeholder", "call_function"):
            value = value * self.change.get(n.name, 1.0)
            if not any(user.target is torch.ops.aten.relu.default for user in n.users):
                shown = np.moveaxis(value.numpy(), 1, -1)
                self.tensors.append((f"tensor{len(self.tensors)}", shown[0]))
        return value


def replayed(change: dict[str, float]) -> tuple[LayerMatch, ...]:
    case = case_of(PlainRelu)
    runtime = Shown(case.model.graph, change)
    sample = case.samples[:1].copy()
    runtime.run(torch.from_numpy(sample.copy()))
    return replay(case.variant(FLOAT), Scheme.AFFINE, sample, runtime.tensors)


def test_a_fused_result_has_no_row_and_layouts_do_not_matter() -> None:
    rows = replayed({})
    assert [row.name for row in rows] == ["relu", "conv2d_1", "relu_1", "conv2d_2", "add_1", "mean", "linear"]
    assert all(row.same and row.max_error == 0 for row in rows)


def test_the_layer_before_a_fused_activation_is_named() -> None:
    rows = replayed({"conv2d": 1.5})
    first = next(row for row in rows if not row.same)
    assert (first.name, first.op, first.source) == ("conv2d", "conv2d", "first")


def test_layers_behind_a_difference_are_judged_from_what_the_artifact_gave_them() -> None:
    """A small difference that is taken over does not count twice."""
    rows = {row.name: row for row in replayed({"conv2d_1": 1.005})}  # 46 dB, above what roundings do
    assert rows["conv2d_1"].same and rows["conv2d_1"].sqnr_db == pytest.approx(46, abs=0.1)
    assert rows["linear"].max_error == 0


def test_an_artifact_without_the_answer_leaves_the_plan() -> None:
    case = case_of(PlainRelu)
    sample = case.samples[:1].copy()
    rows = replay(case.variant(FLOAT), Scheme.AFFINE, sample, [("x", sample)])
    assert rows[0].name == "conv2d" and not rows[0].same
    assert rows[-1].tensor == "" and rows[-1].sqnr_db == -np.inf
