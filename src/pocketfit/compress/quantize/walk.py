"""All calibration samples through the float graph and the quantized graph side by side, layer by layer.

What a method changes in a layer (its bias, its rounding) is in force for every layer after it: each layer meets the
inputs it will meet when everything before it is quantized and repaired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch.fx import GraphModule, Node

from pocketfit.compress.quantize.arithmetic import channel_axis
from pocketfit.compress.quantize.fake import (
    fake_quantize_activation,
    fake_quantize_dynamically,
    fake_quantize_weight,
)
from pocketfit.compress.quantize.lower import plan_bias
from pocketfit.graph.attributes import constant, get_tensor
from pocketfit.graph.running import arguments
from pocketfit.types import LayerPlan, QuantizationPlan, Scheme

__all__ = ["Site", "Values", "Visitor", "Watch", "in_chunks", "walk", "within_memory"]

# Two copies of the live activations of all samples are held at once; beyond this, fewer samples are taken.
MEMORY_BYTES = 3 * 2**30

# One value of the graph: a tensor per chunk of samples.
Values = list[torch.Tensor]
Watch = Callable[[Node, object, object], None]


@dataclass(frozen=True)
class Site:
    """A layer, and what reaches it.

    Args:
        node: the layer in the float graph.
        layer: its plan.
        inputs: what it reads in the quantized graph, one tensor per chunk of samples.
        expected: what it gives in the float graph.
        weight: its float weight, output channel first.
        bias: its own float bias, or None.
        planned_bias: the bias that the plan gives it for the walk's scheme: the corrected one, else its own.
        owed: where all that happens to its result is that another is added to it (the shortcut of a residual block),
            what that other lacks in the quantized graph; None elsewhere.
    """

    node: Node
    layer: LayerPlan
    inputs: Values
    expected: Values
    weight: torch.Tensor
    bias: torch.Tensor | None
    planned_bias: torch.Tensor | None
    owed: Values | None = None

    @property
    def channel_axis(self) -> int:
        """Which axis of the output counts channels."""
        return channel_axis(self.node)

    @property
    def wanted(self) -> Values:
        """What it is best to give: what is expected, and what makes up for the shortcut."""
        if self.owed is None:
            return self.expected
        return [value + missing for value, missing in zip(self.expected, self.owed, strict=True)]

    def outputs(self, weight: torch.Tensor | None = None, bias: torch.Tensor | None = None) -> Values:
        """What the layer gives on `inputs` with this weight, its own as the plan stores it where None, and bias."""
        weight = fake_quantize_weight(self.weight, self.layer) if weight is None else weight
        return [self.node.target(value, weight, bias, *self.node.args[3:]) for value in self.inputs]  # type: ignore[operator]


class Visitor(Protocol):
    """Called at each layer that is in the plan, in graph order."""

    def visit(self, site: Site) -> Values:
        """What the layer is to give in the quantized graph from here on, before a fused activation."""
        ...


def walk(
    graph: GraphModule,
    plan: QuantizationPlan,
    scheme: Scheme,
    batches: Iterable[np.ndarray],
    visitor: Visitor,
    reference: GraphModule | None = None,
    watch: Watch | None = None,
) -> int:
    """Take all samples through both graphs.

    Args:
        graph: the canonical float graph.
        plan: an INT8 plan.
        scheme: how activations are quantized on the way.
        batches: float32 arrays in the model's layout, batch first.
        visitor: told of each layer.
        reference: the same graph with the weights that the float side computes with; `graph` itself where None. It is
            needed where the weights of `graph` are rounded already.
        watch: told of each node's values in the float and in the quantized graph.

    Returns:
        The number of samples that took part: what fits `MEMORY_BYTES`.
    """
    chunks = within_memory(graph, batches)
    with torch.no_grad():
        _Walk(graph, plan, scheme, visitor, reference or graph, watch).run(chunks)
    return sum(len(chunk) for chunk in chunks)


class _Walk:
    def __init__(
        self,
        graph: GraphModule,
        plan: QuantizationPlan,
        scheme: Scheme,
        visitor: Visitor,
        reference: GraphModule,
        watch: Watch | None,
    ) -> None:
        self.graph = graph
        self.reference = reference
        self.plan = plan
        self.scheme = scheme
        self.visitor = visitor
        self.watch = watch
        self.float: dict[Node, object] = {}
        self.quantized: dict[Node, object] = {}

    def run(self, chunks: Values) -> None:
        last_reader = {source: node for node in self.graph.graph.nodes for source in node.all_input_nodes}
        inputs = iter(in_chunks(self.graph, chunks))
        for node in self.graph.graph.nodes:
            if node.op == "placeholder":
                values = next(inputs)
                self._keep(node, values, values)
            elif node.op == "get_attr":
                own, true = (get_tensor(module, str(node.target)) for module in (self.graph, self.reference))
                self._keep(node, [true] * len(chunks), [own] * len(chunks))
            elif node.op == "call_function":
                found = self._call(node, self.float, len(chunks))
                self._keep(node, found, self._call_quantized(node, found, len(chunks)))
            for source in node.all_input_nodes:
                if last_reader[source] is node:
                    del self.float[source], self.quantized[source]

    def _keep(self, node: Node, values: object, quantized: object) -> None:
        self.float[node] = values
        activation = self.plan.activations.get(node.name)
        if self.scheme is Scheme.AFFINE and activation is not None:
            quantized = [fake_quantize_activation(value, activation, self.scheme) for value in quantized]  # type: ignore[attr-defined]
        self.quantized[node] = quantized
        if self.watch is not None:
            self.watch(node, values, quantized)

    def _call(self, node: Node, values: dict[Node, object], chunks: int) -> list[object]:
        return [_call_chunk(node, values, chunk) for chunk in range(chunks)]

    def _call_quantized(self, node: Node, values: list[object], chunks: int) -> list[object]:
        layer = self.plan.layers.get(node.name)
        if layer is None:
            return self._call(node, self.quantized, chunks)
        source = node.args[0]
        assert isinstance(source, Node)
        site = Site(
            node=node,
            layer=layer,
            inputs=self._inputs(source, layer),
            expected=values,  # type: ignore[arg-type]
            weight=get_tensor(self.graph, layer.weight),
            bias=constant(self.graph, node.args[2]) if len(node.args) > 2 else None,
            planned_bias=plan_bias(self.graph, node, layer, self.scheme),
            owed=self._owed(node, values),  # type: ignore[arg-type]
        )
        return self.visitor.visit(site)  # type: ignore[return-value]

    def _owed(self, node: Node, expected: Values) -> Values | None:
        other = _added_to(node)
        if other not in self.float:
            return None
        values: Values = self.float[other]  # type: ignore[assignment]
        quantized: Values = self.quantized[other]  # type: ignore[assignment]
        if values[0].shape != expected[0].shape:
            return None
        return [value - got for value, got in zip(values, quantized, strict=True)]

    def _inputs(self, source: Node, layer: LayerPlan) -> Values:
        values: Values = self.quantized[source]  # type: ignore[assignment]
        if layer.dynamic:
            return [fake_quantize_dynamically(value, self.scheme) for value in values]
        activation = self.plan.activations.get(source.name)
        if self.scheme is Scheme.AFFINE or activation is None or not layer.weight_scales:
            return values
        return [fake_quantize_activation(value, activation, self.scheme) for value in values]


def _added_to(node: Node) -> Node | None:
    """The other summand where a node's result goes into one sum and nowhere else."""
    (reader, *others) = node.users
    if others or reader.target is not torch.ops.aten.add.Tensor or reader.kwargs:
        return None
    return next((source for source in reader.all_input_nodes if source is not node), None)


def _call_chunk(node: Node, values: dict[Node, object], chunk: int) -> object:
    arguments, keywords = torch.fx.map_arg(
        (node.args, node.kwargs),
        lambda source: values[source][chunk],  # type: ignore[index]
    )
    call: Callable[..., object] = node.target  # type: ignore[assignment]
    return call(*arguments, **keywords)


def in_chunks(graph: GraphModule, chunks: Sequence[torch.Tensor]) -> list[Values]:
    """Batches as the values of the graph's inputs, in order."""
    return [list(values) for values in zip(*(arguments(graph, chunk) for chunk in chunks), strict=True)]


def within_memory(graph: GraphModule, batches: Iterable[np.ndarray]) -> Values:
    """As many batches as fit `MEMORY_BYTES`, at least one."""
    chunks: Values = []
    per_sample = 0
    taken = 0
    for batch in batches:
        if not chunks:
            per_sample = 2 * _peak_bytes(graph, torch.from_numpy(batch)) // len(batch)
        elif (taken + len(batch)) * per_sample > MEMORY_BYTES:
            break
        chunks.append(torch.from_numpy(batch))
        taken += len(batch)
    return chunks


def _peak_bytes(graph: GraphModule, batch: torch.Tensor) -> int:
    """Largest sum of live activations while the graph runs on this batch."""
    live: dict[Node, int] = {}
    peak = 0

    class Meter(torch.fx.Interpreter):
        def run_node(self, n: Node) -> object:
            nonlocal peak
            value = super().run_node(n)
            live[n] = value.nbytes if isinstance(value, torch.Tensor) and n.op == "call_function" else 0
            peak = max(peak, sum(live.values()))
            for source in self.user_to_last_uses.get(n, ()):
                live.pop(source, None)
            return value

    with torch.no_grad():
        Meter(graph).run(*arguments(graph, batch))
    return peak
