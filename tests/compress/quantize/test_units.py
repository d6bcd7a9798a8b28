"""What can be spared together, and what a user may call it."""

from __future__ import annotations

from pocketfit.compress.quantize.placement import place
from pocketfit.compress.quantize.units import resolve, units
from pocketfit.types import LoadedModel


def test_every_quantized_op_is_a_unit_and_takes_its_fused_activation_with_it(model: LoadedModel) -> None:
    singles = {unit.name: unit for unit in units(model) if unit.name in {node.name for node in model.graph.graph.nodes}}
    assert set(place(model.graph).layers) <= set(singles)
    assert singles["conv2d"].nodes >= {"conv2d", "relu6"} or singles["conv2d"].nodes >= {"conv2d", "hardtanh"}


def test_a_module_is_a_unit_of_its_own(model: LoadedModel) -> None:
    found = {unit.name: unit for unit in units(model)}
    assert found["depthwise"].layers == {"conv2d_1"}
    assert len(found["depthwise"].nodes) == 2  # the convolution and its hard-swish


def test_weights_and_work_are_counted(model: LoadedModel) -> None:
    found = {unit.name: unit for unit in units(model)}
    assert found["conv2d_2"].weights == 8 * 8
    assert found["conv2d_2"].work == 8 * 6 * 6 * (1 + 8)
    assert found["linear"].work == 5 * (1 + 8)


def test_names_of_nodes_and_of_modules_are_understood(model: LoadedModel) -> None:
    nodes, unknown = resolve(model, frozenset({"depthwise", "head", "conv2d", "nowhere"}))
    assert {"conv2d", "conv2d_1", "linear"} <= nodes
    assert unknown == ("nowhere",)
