"""What each layer of a model asks of a processor, read from its graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch.fx import Node

from pocketfit.devices.predict.geometry import MILLION, Convolution, convolution_amounts, linear_amounts
from pocketfit.devices.predict.npu import boundary_amounts, npu_amounts
from pocketfit.graph.calls import arguments, op_name, per_axis
from pocketfit.graph.recorder import Record, record
from pocketfit.models.canonical import source_of

if TYPE_CHECKING:
    from pocketfit.types import LoadedModel

__all__ = ["BOUNDARY", "Demand", "demands_of", "total_amounts"]

# Name of what an inference takes on an NPU beside its layers: to start, and to be handed inputs and outputs.
BOUNDARY = "inference"

_CONVOLUTIONS = frozenset({"conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d"})
_PRODUCTS = frozenset({"matmul", "bmm", "mm", "addmm", "baddbmm", "einsum", "scaled_dot_product_attention"})
# Every runtime computes these inside the convolution or linear layer before them.
_FUSED = frozenset({"relu", "relu6", "hardtanh", "clamp", "leaky_relu"})
_ELEMENTWISE = _FUSED | {"add", "sub", "mul", "div", "neg", "hardswish", "hardsigmoid", "abs", "prelu"}
_TRANSCENDENTAL = frozenset({"sigmoid", "silu", "gelu", "tanh", "exp", "mish", "elu", "layer_norm", "group_norm"})


@dataclass(frozen=True)
class Demand:
    """What one layer asks for.

    Args:
        name: node name in the canonical graph.
        source: dotted module path in the user's model, where it is known.
        op: aten name, such as `conv2d`.
        amounts: units of work by kind on a CPU or GPU, see `pocketfit.devices.predict.kinds`.
        npu: likewise on an NPU.
    """

    name: str
    source: str
    op: str
    amounts: Mapping[str, float]
    npu: Mapping[str, float]

    def on(self, processor: str) -> Mapping[str, float]:
        """Units of work on a processor: "cpu", "gpu" or "npu"."""
        return self.npu if processor == "npu" else self.amounts


def demands_of(model: LoadedModel) -> tuple[Demand, ...]:
    """Read what every layer asks for, by running the model once on zeros.

    Args:
        model: in its canonical form; it is not changed.

    Returns:
        The layers in the order of the graph, without those that cost nothing anywhere: views, and what is computed
        inside the layer before. Last what an inference takes on an NPU beside its layers.
    """
    example = torch.zeros(1, *model.row_shape)
    records = {one.node: one for one in record(model.graph, example)}
    found = (_demand(one, records) for one in records.values() if one.node.op == "call_function")
    return (*(one for one in found if one.amounts or one.npu), _boundary(records))


def total_amounts(demands: Iterable[Demand], processor: str) -> dict[str, float]:
    """Units of work by kind that layers ask for together.

    Args:
        demands: of the layers.
        processor: "cpu", "gpu" or "npu".
    """
    total: dict[str, float] = {}
    for demand in demands:
        for kind, amount in demand.on(processor).items():
            total[kind] = total.get(kind, 0.0) + amount
    return total


def _demand(one: Record, records: Mapping[Node, Record]) -> Demand:
    inputs = [records[node] for node in one.node.all_input_nodes]
    moves = not one.buffers.keys() <= {buffer for other in inputs for buffer in other.buffers}
    op = op_name(one.node)
    free = not moves or (op in _FUSED and _is_layer(one.node.all_input_nodes[0]))
    amounts = {} if free else _amounts(op, one, inputs)
    return Demand(one.node.name, source_of(one.node), op, amounts, npu_amounts(one, inputs, moves=moves))


def _boundary(records: Mapping[Node, Record]) -> Demand:
    inputs = [one for one in records.values() if one.node.op == "placeholder"]
    ends = [node for one in records.values() if one.node.op == "output" for node in one.node.all_input_nodes]
    return Demand(BOUNDARY, "", BOUNDARY, {}, boundary_amounts(inputs, [records[node] for node in ends]))


def _is_layer(node: Node) -> bool:
    return node.op == "call_function" and op_name(node) in {*_CONVOLUTIONS, "linear"}


def _amounts(op: str, one: Record, inputs: list[Record]) -> dict[str, float]:
    read = sum(other.numbers for other in inputs if other.node.op != "get_attr")
    traffic = (read + one.numbers) / MILLION
    if op == "conv2d":
        return convolution_amounts(_convolution(one, inputs, read))
    if op in _CONVOLUTIONS:
        return {"calls": 1, "convolution": one.macs / MILLION, "convolution_traffic": traffic}
    if op == "linear":
        return linear_amounts(prod(one.output_shape[:-1]), inputs[1].numbers)
    if op in _PRODUCTS or one.macs:
        return {"calls": 1, "matrix_product": one.macs / MILLION}
    if "softmax" in op:
        return {"calls": 1, "softmax": read / MILLION}
    if op.split("_")[-1] != "norm" and op in _ELEMENTWISE:
        return {"calls": 1, "elementwise": traffic}
    return {"calls": 1, "activation": one.numbers / MILLION} if op in _TRANSCENDENTAL else _moved(traffic)


def _moved(traffic: float) -> dict[str, float]:
    return {"calls": 1, "movement": traffic}


def _convolution(one: Record, inputs: list[Record], read: int) -> Convolution:
    settings: tuple[Any, ...] = arguments(one.node, None, None, None, [1, 1], [0, 0], [1, 1], 1)
    _, _, _, stride, _, dilation, groups = settings
    filters, _, height, width = inputs[1].output_shape
    return Convolution(
        channels=inputs[0].output_shape[-3],
        filters=filters,
        kernel=(height, width),
        output=(one.output_shape[-2], one.output_shape[-1]),
        stride=max(per_axis(stride, 2)),
        dilation=max(per_axis(dilation, 2)),
        groups=groups,
        traffic=read + one.numbers,
    )
