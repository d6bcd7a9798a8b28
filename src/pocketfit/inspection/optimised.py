"""What the graph passes save: ops, arithmetic and memory traffic before and after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.fx import GraphModule

from pocketfit.graph import Pass, optimise
from pocketfit.graph.calls import by_op, op_name
from pocketfit.graph.recorder import Record, record
from pocketfit.graph.running import joined
from pocketfit.models.canonical import random_inputs
from pocketfit.models.export import raw_graph
from pocketfit.models.source import shapes_of
from pocketfit.types import InputShape

__all__ = ["GraphCost", "Optimised", "PassChanges", "explain_passes"]


@dataclass(frozen=True)
class GraphCost:
    """What one inference of a graph costs in float32, with a batch of one.

    Args:
        ops: number of ops.
        by_op: the same by aten name, such as `conv2d`.
        macs: multiply-accumulates.
        bytes_moved: read and written by all ops, weights included; a view moves nothing. Runtimes that fuse ops move
            less.
    """

    ops: int
    by_op: Mapping[str, int]
    macs: int
    bytes_moved: int


@dataclass(frozen=True)
class PassChanges:
    """One pass, and how often it found something to change."""

    name: str
    changes: int


@dataclass(frozen=True)
class Optimised:
    """The graph as it was exported, as the passes leave it, and what each of them did, in order."""

    before: GraphCost
    after: GraphCost
    passes: tuple[PassChanges, ...] = field(default_factory=tuple)


def explain_passes(module: nn.Module, input_shape: InputShape) -> Optimised:
    """Export a module and run the passes, each of which proves on one sample that it changes no answer.

    Args:
        module: in eval mode, in float32; it is not changed.
        input_shape: without the batch, one for each of several inputs.

    Raises:
        ModelError: the module cannot be exported for these inputs, or a pass broke its promise.
    """
    inputs = random_inputs(shapes_of(input_shape))[0]
    graph, example = raw_graph(module, inputs, dynamic_batch=False), joined(inputs)
    before = _cost(graph, example)
    passes: list[PassChanges] = []

    def told(graph_pass: Pass, changes: int) -> None:
        passes.append(PassChanges(graph_pass.name, changes))

    optimise(graph, example, told)
    return Optimised(before, _cost(graph, example), tuple(passes))


def _cost(graph: GraphModule, example: torch.Tensor) -> GraphCost:
    records = record(graph, example)
    counts = Counter({op_name(nodes[0]): len(nodes) for nodes in by_op(graph).values()})
    return GraphCost(counts.total(), dict(counts), sum(one.macs for one in records), _bytes_moved(records))


def _bytes_moved(records: Sequence[Record]) -> int:
    buffers = {one.node: one.buffers for one in records}
    written: set[int] = set()
    moved = 0
    for one in records:
        new = one.buffers.keys() - written
        written |= new
        if one.node.op == "call_function" and new:
            read = {key: size for source in one.node.all_input_nodes for key, size in buffers[source].items()}
            moved += sum(read.values()) + sum(one.buffers[key] for key in new)
    return moved
