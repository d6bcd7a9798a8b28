"""Which channels a model has, which of them leave together, and what they cost.

A unit is what leaves at once: an output channel of a layer with all that depends on it, an attention head, a hidden
unit of a recurrent layer with the rows of its four gates. Units that occur in the same tensors make up a group; as
long as one unit of each group stays, no tensor becomes empty, and a number of them that is a multiple of 8 in every
group is one in every layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.fx import GraphModule, Node

from pocketfit.compress.prune.coupling import compact
from pocketfit.compress.prune.rules import RULES, otherwise
from pocketfit.compress.prune.trace import Role, Slot, Trace, run_trace
from pocketfit.graph.recorder import Record, record
from pocketfit.models.canonical import source_of
from pocketfit.types import LoadedModel

__all__ = ["NOT_A_UNIT", "Cost", "Dependencies", "Group", "find_dependencies"]

NOT_A_UNIT = -1


@dataclass(frozen=True)
class Group:
    """Units that occur in the same tensors.

    Args:
        name: dotted path, in the user's model, of the first layer that writes them, or its node name.
        units: their numbers, int64.
        channels: that one unit has in the narrowest weight it occurs in: the head's width for an attention head.
    """

    name: str
    units: torch.Tensor
    channels: int


@dataclass(frozen=True)
class Cost:
    """Multiply-accumulates of a node, and the axes that they, and its time, are proportional to.

    Args:
        node: its name.
        macs: of one inference, unpruned; 0 of a node that multiplies nothing.
        axes: units at the positions of each axis, `NOT_A_UNIT` where a position stays.
    """

    node: str
    macs: int
    axes: tuple[torch.Tensor, ...]

    def of(self, kept: torch.Tensor) -> float:
        """Multiply-accumulates with these units; a bool each."""
        share = 1.0
        for units in self.axes:
            share *= float(present(units, kept).float().mean())
        return self.macs * share


@dataclass(frozen=True)
class Dependencies:
    """The channels of a model.

    Args:
        graph: of the model they belong to.
        count: number of units.
        groups: in the order of the graph.
        slots: axes of weights; their labels are units.
        constants: units of the elements of other constants, by attribute path.
        values: units of the elements of what each node returns, several for several outputs; repeated elements may
            be there once.
        costs: of every node that computes.
    """

    graph: GraphModule
    count: int
    groups: tuple[Group, ...]
    slots: tuple[Slot, ...]
    constants: Mapping[str, torch.Tensor]
    values: Mapping[Node, Any]
    costs: tuple[Cost, ...]

    def macs(self, kept: torch.Tensor) -> float:
        """Multiply-accumulates of the model with these units; a bool each."""
        return sum(cost.of(kept) for cost in self.costs if cost.macs)


def present(units: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Which positions stay: those of kept units and those of none."""
    return torch.cat([kept, torch.ones(1, dtype=torch.bool)])[units]


def find_dependencies(model: LoadedModel) -> Dependencies:
    """Follow every channel through the graph.

    Args:
        model: in canonical form; it is not changed.
    """
    records = record(model.graph, torch.zeros(1, *model.row_shape))
    trace = run_trace(model.graph, records, RULES, otherwise)
    units = _numbered(trace.settle(), trace)
    slots = tuple(
        Slot(slot.node, slot.path, slot.axis, units[slot.labels.contiguous()], slot.role) for slot in trace.slots
    )
    values = {node: _with_units(value, units) for node, value in trace.values.items()}
    constants = {path: _units_of(labels, units) for path, labels in trace.constants.items()}
    count = int(units.max()) + 1
    return Dependencies(
        graph=model.graph,
        count=count,
        groups=tuple(_groups(slots, values, constants, count)),
        slots=slots,
        constants=constants,
        values=values,
        costs=tuple(_cost(entry, values, slots) for entry in records if entry.node.op == "call_function"),
    )


def _numbered(roots: torch.Tensor, trace: Trace) -> torch.Tensor:
    """The unit of each label, counted in the order of the graph; only what a layer writes can be one."""
    written = [roots[slot.labels.contiguous()] for slot in trace.slots if slot.role is Role.WRITES]
    sets, first = np.unique(torch.cat([*written, torch.zeros(1, dtype=torch.int64)]).numpy(), return_index=True)
    ordered = sets[np.argsort(first)]
    number = torch.full((int(roots.max()) + 1,), NOT_A_UNIT)
    number[torch.from_numpy(ordered[ordered > 0])] = torch.arange(int((ordered > 0).sum()))
    return number[roots]


def _units_of(labels: torch.Tensor, units: torch.Tensor) -> torch.Tensor:
    small = compact(labels)
    return units[small].expand(labels.shape)


def _with_units(value: Any, units: torch.Tensor) -> Any:
    if isinstance(value, list | tuple):
        return [_with_units(one, units) for one in value]
    return _units_of(value, units) if isinstance(value, torch.Tensor) else value


def _groups(
    slots: tuple[Slot, ...], values: Mapping[Node, Any], constants: Mapping[str, torch.Tensor], count: int
) -> Iterator[Group]:
    """Units with the same signature: the set of tensors that they occur in, and how often in each."""
    signature = np.zeros(count, np.uint64)
    draw = np.random.default_rng(0)
    channels = np.full(count, np.iinfo(np.int64).max)
    for labels in _tensors(slots, values, constants):
        found, times = np.unique(compact(labels).numpy(), return_counts=True)
        found, times = found[found != NOT_A_UNIT], times[found != NOT_A_UNIT]
        signature[found] ^= times.astype(np.uint64) * np.uint64(draw.integers(1, 2**63) | 1)
    for slot in slots:
        found, times = np.unique(slot.labels.numpy(), return_counts=True)
        found, times = found[found != NOT_A_UNIT], times[found != NOT_A_UNIT]
        channels[found] = np.minimum(channels[found], times)
    _, first, members = np.unique(signature, return_index=True, return_inverse=True)
    for place in np.argsort(first):
        units = np.flatnonzero(members == place)
        yield Group(_name(slots, units[0]), torch.from_numpy(units), int(channels[units[0]]))


def _tensors(
    slots: tuple[Slot, ...], values: Mapping[Node, Any], constants: Mapping[str, torch.Tensor]
) -> Iterator[torch.Tensor]:
    yield from (slot.labels for slot in slots)
    yield from constants.values()
    for value in values.values():
        parts = value if isinstance(value, list) else [value]
        yield from (part for part in parts if isinstance(part, torch.Tensor))


def _name(slots: tuple[Slot, ...], unit: int) -> str:
    node = next(slot.node for slot in slots if slot.role is Role.WRITES and bool((slot.labels == unit).any()))
    return source_of(node) or node.name


def _cost(entry: Record, values: Mapping[Node, Any], slots: tuple[Slot, ...]) -> Cost:
    written = _varying(values[entry.node])
    read = next((slot.labels for slot in slots if slot.node is entry.node and slot.role is Role.READS), None)
    return Cost(entry.node.name, entry.macs, written if read is None else (*written, read))


def _varying(value: Any) -> tuple[torch.Tensor, ...]:
    """Units of the elements of what a node returns, without repetitions."""
    return (compact(value).flatten(),) if isinstance(value, torch.Tensor) else ()
