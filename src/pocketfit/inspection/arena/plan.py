"""One plan for the activations of a model: order, offsets, and how far it is from what is possible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from pocketfit.inspection.arena.layout import best_layout, greedy_by_size, overlaps
from pocketfit.inspection.arena.liveness import Block, blocks_of, live_bytes
from pocketfit.inspection.arena.order import Ordering, find_order
from pocketfit.inspection.arena.placing import Layout
from pocketfit.inspection.arena.program import Program
from pocketfit.inspection.arena.read import BytesPerElement, read_program

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

__all__ = ["ArenaPlan", "PlacedTensor", "plan_arena"]


@dataclass(frozen=True)
class PlacedTensor:
    """A tensor in the arena.

    Args:
        name: of the node that writes it; `split.1` where that writes several.
        source: dotted module path in the user's model, where it is known.
        offset: in bytes from the start of the arena.
        size: in bytes, rounded up to whole units of 64.
    """

    name: str
    source: str
    offset: int
    size: int


@dataclass(frozen=True)
class ArenaPlan:
    """Where the activations of a model lie, for a batch of one; weights are not counted, input and output are.

    Args:
        order: names of all nodes but the weights, in the order in which they run.
        offsets: in bytes by name of the tensor; tensors that share memory have the same one.
        arena_bytes: the memory this plan takes.
        lower_bound_bytes: no plan of these tensors takes less, in any order where reordering was allowed.
        order_bound_bytes: no layout takes less in this order.
        given_order_bytes: what no layout takes less than in the order of the graph.
        greedy_bytes: what TensorFlow Lite's greedy by size takes in the order of the graph, in place as here.
        peak_step: the place in `order` of the node during which most bytes are in use, the first of several.
        peak_node: its name.
        alive: the tensors in use at it, the largest first.
        in_place: by name of an op the tensor that it writes its result over: one that it is the last to read, in
            `order`. A runtime that fuses an op with the one before it needs no such hint.
    """

    order: tuple[str, ...]
    offsets: Mapping[str, int]
    arena_bytes: int
    lower_bound_bytes: int
    order_bound_bytes: int
    given_order_bytes: int
    greedy_bytes: int
    peak_step: int
    peak_node: str
    alive: tuple[PlacedTensor, ...]
    in_place: Mapping[str, str]


@dataclass(frozen=True)
class _Arena:
    """The blocks of an order with their layout."""

    order: tuple[int, ...]
    blocks: tuple[Block, ...]
    layout: Layout
    live: list[int]


def plan_arena(
    graph: GraphModule, bytes_per_element: BytesPerElement = 4, in_place: bool = True, reorder: bool = True
) -> ArenaPlan:
    """Plan the memory of a model's activations; the plan is never worse than greedy by size.

    Args:
        graph: canonical; it is not changed.
        bytes_per_element: of floating-point tensors, such as 4 for float32 and 1 for int8; or a function of the node
            that writes the tensor. Other tensors keep the size they have in torch.
        in_place: whether an op that works element by element may write over an input of the same size.
        reorder: whether the ops may run in another order than the graph's.

    Raises:
        ModelError: the shape of a tensor is not known, or a node writes into its input.
    """
    program = read_program(graph, bytes_per_element, in_place)
    given = tuple(range(len(program.ops)))
    blocks = blocks_of(program, given)
    own_order = _Arena(given, blocks, greedy_by_size(blocks), live_bytes(blocks, len(given)))
    bound = max(own_order.live)
    ordering = find_order(program) if reorder else Ordering(given, bound, bound)
    best = min(_arenas(program, own_order, ordering), key=lambda one: one.layout.size)
    assert not overlaps(best.blocks, best.layout.offsets)
    return _described(graph, program, own_order, best, ordering.bound)


def _arenas(program: Program, given: _Arena, ordering: Ordering) -> Iterator[_Arena]:
    """The order that was found, and, where its layout is not as small as it could be, the graph's own."""
    found = _arena(program, ordering.order)
    yield found
    if found.layout.size > ordering.bound and found.order != given.order:
        yield _arena(program, given.order)


def _arena(program: Program, order: Sequence[int]) -> _Arena:
    blocks = blocks_of(program, order)
    return _Arena(tuple(order), blocks, best_layout(blocks, len(order)), live_bytes(blocks, len(order)))


def _described(graph: GraphModule, program: Program, given: _Arena, best: _Arena, bound: int) -> ArenaPlan:
    names = [program.ops[number].name for number in best.order]
    order = [node.name for node in _all_nodes(graph, names)]
    peak = best.live.index(max(best.live))
    return ArenaPlan(
        order=tuple(order),
        offsets=_offsets(program, best),
        arena_bytes=best.layout.size,
        lower_bound_bytes=bound,
        order_bound_bytes=max(best.live),
        given_order_bytes=max(given.live),
        greedy_bytes=given.layout.size,
        peak_step=order.index(names[peak]),
        peak_node=names[peak],
        alive=tuple(sorted(_alive(program, best, peak), key=lambda one: -one.size)),
        in_place=_in_place(program, best),
    )


def _offsets(program: Program, arena: _Arena) -> dict[str, int]:
    pairs = zip(arena.blocks, arena.layout.offsets, strict=True)
    found = {buffer: offset for block, offset in pairs for buffer in block.buffers}
    return {program.buffers[buffer].name: offset for buffer, offset in sorted(found.items())}


def _in_place(program: Program, arena: _Arena) -> dict[str, str]:
    pairs = sorted((after, before) for block in arena.blocks for before, after in pairwise(block.buffers))
    return {program.ops[program.writer[after]].name: program.buffers[before].name for after, before in pairs}


def _alive(program: Program, arena: _Arena, step: int) -> Iterator[PlacedTensor]:
    """What is in use at a step; of tensors that share memory the one that was there last."""
    steps = {number: at for at, number in enumerate(arena.order)}
    for block, offset in zip(arena.blocks, arena.layout.offsets, strict=True):
        if block.birth <= step <= block.death:
            last = [buffer for buffer in block.buffers if steps[program.writer[buffer]] <= step][-1]
            buffer = program.buffers[last]
            yield PlacedTensor(buffer.name, buffer.source, offset, buffer.size)


def _all_nodes(graph: GraphModule, ops: Sequence[str]) -> list[Node]:
    """The nodes in the order of the ops; one that only looks at a tensor comes just before it is needed."""
    nodes = {node.name: node for node in graph.graph.nodes}
    found: dict[Node, None] = {}
    for name in [*ops[:-1], *nodes]:
        waiting = [nodes[name]]
        while waiting:
            missing = [read for read in waiting[-1].all_input_nodes if read not in found]
            if missing:
                waiting += missing
            else:
                found.setdefault(waiting.pop())
    return [node for node in found if node.op != "get_attr"]
