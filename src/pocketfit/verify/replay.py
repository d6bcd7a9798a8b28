"""The plan's simulation, each node computed anew from the runtime's own tensors, and found again among them.

Names tell nothing: converters rename, reorder and fuse. A node's result is looked for among the tensors of as many
values, in either layout, that the runtime computed no earlier than what the node reads, and the one most like it is its
counterpart. Where the two are the same up to rounding, the runtime's tensor takes the place of the simulated one: so
roundings do not add up from layer to layer, and the next row is about the next layer alone.

A result that is nowhere to be found was fused into what follows, if everything that is computed from it is found.
Otherwise it is where the artifact leaves the plan; what comes after it goes on from the simulated result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.fx import Graph, Interpreter, Node

from pocketfit.compress.quantize.integer import integer_layer
from pocketfit.compress.quantize.placement import fused_activation
from pocketfit.compress.quantize.simulate import simulation_graph
from pocketfit.graph.calls import op_name
from pocketfit.graph.running import arguments
from pocketfit.models.canonical import source_of
from pocketfit.types import Scheme, Variant
from pocketfit.verify.layers import LayerMatch
from pocketfit.verify.parity import compare

__all__ = ["SAME_DB", "SAME_STEPS", "replay"]

# Kernels round a value that lies between two integers to either, LiteRT's own at times one further; and a kernel that
# approximates (ncnn's GELU, its scales on x86) stays above 50 dB. A wrong weight or scale does neither.
SAME_STEPS = 2.0
SAME_DB = 40.0

Shown = Sequence[tuple[str, np.ndarray]]


@dataclass(frozen=True)
class _Counterpart:
    """A tensor of the runtime: its place in the order, and its values in the layout of the node it was found for."""

    index: int
    values: np.ndarray
    expected: np.ndarray


def replay(variant: Variant, scheme: Scheme, sample: np.ndarray, shown: Shown) -> tuple[LayerMatch, ...]:
    """Compare the tensors of one run with the plan's simulation.

    Args:
        variant: the canonical model and the plan as the runtime was given it.
        scheme: how INT8 activations are expressed.
        sample: float32 with batch 1.
        shown: what `Traceable.tensors` gave for the sample.

    Returns:
        In graph order, every node that was found, and every one that was not though nothing explains why.
    """
    canonical = {node.name: node for node in variant.model.graph.graph.nodes if node.op == "call_function"}
    simulation = simulation_graph(variant.model.graph, variant.plan, scheme)
    names = {node: name for node in simulation.graph.nodes if (name := _canonical_name(node)) in canonical}
    interpreter = _Replay(simulation, {node: canonical[name] for node, name in names.items()}, shown)
    for name, activation in variant.plan.activations.items():
        interpreter.steps[name] = activation.symmetric_scale if scheme is Scheme.SYMMETRIC else activation.scale
    interpreter.run(*arguments(variant.model.graph, torch.from_numpy(sample)))
    accounted = _accounted(simulation.graph, interpreter.rows)
    return tuple(row for node, row in interpreter.rows.items() if row.same or not accounted[node])


class _Replay(Interpreter):
    """Runs the simulation and keeps a row for each node that stands for one of the canonical graph."""

    def __init__(self, simulation: torch.fx.GraphModule, canonical: Mapping[Node, Node], shown: Shown) -> None:
        super().__init__(simulation)
        self.canonical = canonical
        self.shown = shown
        self.steps: dict[str, float] = {}
        self.rows: dict[Node, LayerMatch] = {}
        self.earliest: dict[Node, int] = {}

    def run_node(self, n: Node) -> Any:
        value = super().run_node(n)
        self.earliest[n] = max((self.earliest[source] for source in n.all_input_nodes), default=0)
        if n not in self.canonical or not isinstance(value, torch.Tensor) or not value.is_floating_point():
            return value
        counterpart = self.find(n, value)
        row = self.rows[n] = self.judge(n, counterpart)
        if counterpart is None or not row.same:
            return value
        self.earliest[n] = counterpart.index
        return torch.from_numpy(np.ascontiguousarray(counterpart.values))

    def find(self, node: Node, value: torch.Tensor) -> _Counterpart | None:
        """The tensor most like the node's result, or like what its readers make of that; the first of equals."""
        forms = [form.numpy() for form in (value, *_restored(node, value))]
        best, least = None, np.inf
        for index in range(self.earliest[node], len(self.shown)):
            for values in _layouts(self.shown[index][1], forms[0].shape):
                for form in forms:
                    noise = _noise(values, form)
                    if best is None or noise < least:
                        best, least = _Counterpart(index, values, form), noise
        return best

    def judge(self, node: Node, counterpart: _Counterpart | None) -> LayerMatch:
        original = self.canonical[node]
        row = LayerMatch(original.name, op_name(original), source_of(original), "", -np.inf, np.inf, same=False)
        if counterpart is None:
            return row
        parity = compare(counterpart.values[None], counterpart.expected[None])
        written = (original, fused_activation(original) or original)
        slack = SAME_STEPS * max(self.steps.get(one.name, 0.0) for one in written)
        return replace(
            row,
            tensor=self.shown[counterpart.index][0],
            sqnr_db=parity.sqnr_db,
            max_error=parity.max_error,
            same=parity.sqnr_db >= SAME_DB or parity.max_error <= slack,
        )


def _canonical_name(node: Node) -> str:
    """The canonical node whose result this one gives; a layer in integers is known by its weight."""
    if node.target is integer_layer:
        return str(node.args[1].target).removeprefix("_plan_").removesuffix("_weight")  # type: ignore[union-attr]
    return node.name


def _restored(node: Node, value: torch.Tensor) -> Iterator[torch.Tensor]:
    """What the readers of a quantized tensor get."""
    ops = torch.ops.quantized_decomposed
    for quantize in node.users:
        for restore in quantize.users:
            if restore.target is ops.dequantize_per_tensor.default:
                integers = quantize.target(value, *quantize.args[1:])  # type: ignore[operator]
                yield restore.target(integers, *restore.args[1:])


def _layouts(values: np.ndarray, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """The values in the shape of a node's result, as they lie and with their channels last; none if the count differs.

    Runtimes leave out the batch, or put in axes of size 1.
    """
    if values.size == 0 or values.size != np.prod(shape):
        return
    yield values.reshape(shape)
    if len(shape) > 2:
        batch, channels, *rest = shape
        yield np.moveaxis(values.reshape(batch, *rest, channels), -1, 1)


def _noise(got: np.ndarray, expected: np.ndarray) -> float:
    difference = np.where(got == expected, np.float32(0), got - expected).ravel()  # equal infinities differ by nothing
    noise = float(np.dot(difference, difference))
    return np.inf if np.isnan(noise) else noise


def _accounted(graph: Graph, rows: Mapping[Node, LayerMatch]) -> dict[Node, bool]:
    """Whether a node's result was found, or else everything computed from it."""
    accounted: dict[Node, bool] = {}
    for node in reversed(graph.nodes):
        found = node in rows and rows[node].same
        explained = node.op != "output" and bool(node.users) and all(accounted[user] for user in node.users)
        accounted[node] = found or explained
    return accounted
