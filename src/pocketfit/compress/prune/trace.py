"""The graph run on labels in place of numbers: which positions of which tensors are one channel.

Each element of a tensor carries the label of the channel it belongs to. Ops that only move elements are run on the
labels as they are, so that a channel shuffle, a head split off by a view, or a window partition need no thought.
Layers read labels and write new ones; element-wise ops unite labels; what is not known fixes its operands, which is
always right, and at worst prunes less. Tensors are repeated along axes without memory, so labels are small.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import torch
from torch.fx import GraphModule, Node
from torch.fx.node import map_arg

from pocketfit.compress.prune.coupling import FIXED, Coupling, compact, varying_axes
from pocketfit.graph.attributes import get_tensor
from pocketfit.graph.recorder import Record

__all__ = ["Role", "Rule", "Slot", "Trace", "run_trace"]

# A constant with more numbers than this is a table, not channels.
LARGEST_CONSTANT = 2**18


class Role(StrEnum):
    """What a layer does along an axis of its weight: write channels, read them, or pass each one on (depthwise)."""

    WRITES = "writes"
    READS = "reads"
    PASSES = "passes"


@dataclass(frozen=True)
class Slot:
    """An axis of a weight.

    Args:
        node: the layer.
        path: of the weight.
        axis: of the weight.
        labels: one a position.
        role: of the layer towards these channels.
    """

    node: Node
    path: str
    axis: int
    labels: torch.Tensor
    role: Role


class Trace:
    """What is known while the graph is run on labels.

    Args:
        module: the graph.
        records: of a run with batch 1, by node.
    """

    def __init__(self, module: GraphModule, records: Mapping[Node, Record]) -> None:
        self.module = module
        self.records = records
        self.coupling = Coupling()
        self.values: dict[Node, Any] = {}
        self.slots: list[Slot] = []
        self.axes: dict[tuple[str, int], torch.Tensor] = {}
        self.constants: dict[str, torch.Tensor] = {}
        # Labels, and axes along which a part of them must not leave.
        self.constraints: list[tuple[torch.Tensor, frozenset[int]]] = []

    def value(self, argument: Any) -> Any:
        """An argument of a call, with labels in the place of tensors."""
        return map_arg(argument, self._of_node)

    def shape(self, node: Node) -> tuple[int, ...]:
        """Of a node's first output, with batch 1."""
        return self.records[node].output_shape

    def keep_whole(self, labels: torch.Tensor, *axes: int) -> None:
        """Say that no part of these axes may leave alone."""
        self.constraints.append((labels, frozenset(axis % labels.dim() for axis in axes)))

    def along(self, labels: torch.Tensor, axis: int) -> torch.Tensor:
        """One label a position of that axis: everything else at that position is united with it."""
        small = compact(labels).movedim(axis, 0)
        rows = small.reshape(len(small), -1)
        self.coupling.unite(rows, rows[:, :1])
        return rows[:, 0].expand(labels.shape[axis])

    def slot(self, node: Node, weight: Node, axis: int, role: Role, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Labels of an axis of a weight.

        Args:
            node: the layer.
            weight: the get_attr node.
            axis: of the weight.
            role: of the layer.
            labels: what the axis has to agree with; None for new channels. A weight that was met before keeps its own.
        """
        path = str(weight.target)
        size = get_tensor(self.module, path).shape[axis]
        known = self.axes.get((path, axis))
        if known is None:
            # The only channel of a layer cannot leave.
            made = torch.zeros(1, dtype=torch.int64) if size == 1 else self.coupling.fresh(size)
            known = self.axes[path, axis] = made if labels is None else labels.expand(size)
        elif labels is not None:
            self.coupling.unite(known, labels)
        self.slots.append(Slot(node, path, axis, known, role))
        return known

    def settle(self) -> torch.Tensor:
        """Unite what the constraints ask for, until what may leave leaves a rectangular tensor everywhere.

        Returns:
            The set of each label, see `Coupling.roots`.
        """
        while True:
            roots = self.coupling.roots()
            if not sum([self._straighten(roots, labels, axes) for labels, axes in self.constraints]):
                return roots

    def _straighten(self, roots: torch.Tensor, labels: torch.Tensor, whole: frozenset[int]) -> bool:
        labels = compact(labels)
        sets = roots[labels]
        varying = varying_axes(sets)
        allowed = [axis for axis in varying if axis not in whole]
        if not sets.any() or (allowed == varying and len(varying) == 1):
            return False
        if not allowed:
            self.coupling.fix(labels)
            return True
        kept = max(allowed, key=lambda axis: labels.shape[axis])
        rows = labels.movedim(kept, 0).reshape(labels.shape[kept], -1)
        self.coupling.unite(rows, rows[:, :1])
        return True

    def _of_node(self, node: Node) -> Any:
        if node not in self.values and node.op == "get_attr":
            self.values[node] = self._constant(node)
        return self.values[node]

    def _constant(self, node: Node) -> torch.Tensor:
        path = str(node.target)
        if path not in self.constants:
            shape = get_tensor(self.module, path).shape
            small = 1 < shape.numel() <= LARGEST_CONSTANT
            labels = self.coupling.fresh(*shape) if small else torch.tensor(FIXED).expand(shape)
            self.constants[path] = labels
            self.constraints.append((labels, frozenset()))
        return self.constants[path]


# A rule gives the labels of what a node returns.
Rule = Callable[[Trace, Node], Any]


def run_trace(module: GraphModule, records: Iterable[Record], rules: Mapping[object, Rule], otherwise: Rule) -> Trace:
    """Run the graph on labels.

    Args:
        module: in canonical form.
        records: of a run with batch 1.
        rules: by target of a call.
        otherwise: for all others.
    """
    trace = Trace(module, {record.node: record for record in records})
    for node in module.graph.nodes:
        if node.op == "placeholder":
            trace.values[node] = torch.tensor(FIXED).expand(trace.shape(node))
        elif node.op == "call_function":
            trace.values[node] = rules.get(node.target, otherwise)(trace, node)
            _constrain(trace, trace.values[node])
        elif node.op == "output":
            for source in node.all_input_nodes:
                trace.coupling.fix(trace.value(source))
    _fix_mixed_use(trace)
    return trace


def _constrain(trace: Trace, value: Any) -> None:
    for labels in value if isinstance(value, list | tuple) else [value]:
        if isinstance(labels, torch.Tensor):
            trace.constraints.append((labels, frozenset()))


def _fix_mixed_use(trace: Trace) -> None:
    """A weight that is a layer's and is computed with elsewhere stays whole."""
    for (path, _), labels in trace.axes.items():
        if path in trace.constants:
            trace.coupling.fix(labels)
            trace.coupling.fix(trace.constants[path])


def item(trace: Trace, node: Node) -> Any:
    """One of several outputs."""
    source, place = trace.value(node.args)
    return source[place] if isinstance(source, list | tuple) else torch.tensor(FIXED).expand(trace.shape(node))


GETITEM = operator.getitem
