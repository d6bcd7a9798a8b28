"""Parameters, multiply-accumulates and activation memory of a model, layer by layer."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pocketfit.graph.calls import op_name
from pocketfit.graph.recorder import Record, record
from pocketfit.inspection.memory import Step, peak
from pocketfit.models.canonical import source_of

if TYPE_CHECKING:
    from pocketfit.types import LoadedModel

__all__ = ["Inspection", "LayerCost", "inspect_model"]

FLOAT32_BYTES = 4


@dataclass(frozen=True)
class LayerCost:
    """One op of the graph.

    Args:
        name: node name in the canonical graph.
        op: aten name, such as `conv2d`.
        source: dotted module path in the user's model, where it is known.
        output_shape: of its first output, with batch 1.
        parameters: numbers it reads from the weights; shared ones count where they are read first.
        macs: multiply-accumulates of one inference.
        output_bytes: memory its outputs take; 0 for a view of a tensor that is already there.
    """

    name: str
    op: str
    source: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int
    output_bytes: int


@dataclass(frozen=True)
class Inspection:
    """What a model costs in float32 with a batch of one.

    Args:
        layers: in the order of the graph.
        parameters: numbers in the weights, shared ones once.
        macs: multiply-accumulates of one inference.
        weight_bytes: of the weights.
        peak_activation_bytes: largest sum of tensors alive at the same time, input and output included, when each is
            freed after its last use: what a perfect memory planner reaches in this order of ops, before any fusing.
        peak_layer: node name at which that is reached.
        largest_tensor_bytes: of the largest activation.
        largest_tensor: node name of the op that writes it.
    """

    layers: tuple[LayerCost, ...]
    parameters: int
    macs: int
    weight_bytes: int
    peak_activation_bytes: int
    peak_layer: str
    largest_tensor_bytes: int
    largest_tensor: str


def inspect_model(model: LoadedModel) -> Inspection:
    """Count what a model costs by running it once on zeros.

    Args:
        model: in its canonical form; it is not changed.
    """
    example = torch.zeros(1, *model.row_shape)
    records = record(model.graph, example)
    layers = _layers(records)
    steps = _steps(records)
    parameters = sum(layer.parameters for layer in layers)
    peak_bytes, peak_layer = peak(steps)
    largest = max(steps, key=_largest_write)
    return Inspection(
        layers=layers,
        parameters=parameters,
        macs=sum(layer.macs for layer in layers),
        weight_bytes=parameters * FLOAT32_BYTES,
        peak_activation_bytes=peak_bytes,
        peak_layer=peak_layer,
        largest_tensor_bytes=_largest_write(largest),
        largest_tensor=largest.name,
    )


def _layers(records: Sequence[Record]) -> tuple[LayerCost, ...]:
    weights = {entry.node: entry for entry in records if entry.node.op == "get_attr"}
    counted: set[int] = set()
    layers = []
    for entry, step in zip(records, _steps(records), strict=True):
        if entry.node.op != "call_function" or entry.node.target is operator.getitem:
            continue
        read = [weights[node] for node in entry.node.all_input_nodes if node in weights]
        parameters = sum(weight.numbers for weight in read if counted.isdisjoint(weight.buffers))
        counted.update(*(weight.buffers for weight in read))
        layers.append(_layer(entry, parameters, sum(step.writes.values())))
    return tuple(layers)


def _layer(entry: Record, parameters: int, output_bytes: int) -> LayerCost:
    node = entry.node
    return LayerCost(
        name=node.name,
        op=op_name(node),
        source=source_of(node),
        output_shape=entry.output_shape,
        parameters=parameters,
        macs=entry.macs,
        output_bytes=output_bytes,
    )


def _steps(records: Sequence[Record]) -> tuple[Step, ...]:
    """The records as memory sees them: weights are no activations, and a view writes nothing new."""
    weights = {buffer for entry in records if entry.node.op == "get_attr" for buffer in entry.buffers}
    activations = {entry.node: entry.buffers.keys() - weights for entry in records}
    written: set[int] = set()
    steps = []
    for entry in records:
        new = activations[entry.node] - written
        written |= new
        reads = {buffer for node in entry.node.all_input_nodes for buffer in activations[node]}
        steps.append(Step(entry.node.name, tuple(reads), {buffer: entry.buffers[buffer] for buffer in new}))
    return tuple(steps)


def _largest_write(step: Step) -> int:
    return max(step.writes.values(), default=0)
