"""Into how many pieces a delegate's ops fall.

A delegate takes connected work whole; each op that it does not take ends a piece, and every piece costs a hand-over of
tensors between the accelerator and the CPU. Pieces are counted as TensorFlow Lite makes them: ops are taken in rounds,
alternately all that the delegate can compute by then and all that the CPU can, and each round of the delegate's is one
piece.

Source: TensorFlow Lite, `lite/graph_info.h`, "PartitionGraphIntoIndependentNodeSubsets".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch.fx import Node

__all__ = ["Partitions", "partition"]


@dataclass(frozen=True)
class Partitions:
    """How a graph is divided between a delegate and the CPU.

    Args:
        count: pieces that the delegate gets.
        delegated: names of ops on the delegate, in graph order.
        fallback: names of ops on the CPU, in graph order.
    """

    count: int
    delegated: tuple[str, ...]
    fallback: tuple[str, ...]


def partition(ops: Sequence[Node], takes: Callable[[Node], bool]) -> Partitions:
    """Divide ops between a delegate and the CPU.

    Args:
        ops: in the order of the graph; what they read besides each other is there from the start.
        takes: whether the delegate computes an op.
    """
    chosen = {node: takes(node) for node in ops}
    waiting, done, count = list(ops), set[Node](), 0
    on_delegate = True
    while waiting:
        taken = _round(waiting, done, chosen, on_delegate)
        count += on_delegate and bool(taken)
        done |= taken
        waiting = [node for node in waiting if node not in taken]
        on_delegate = not on_delegate
    return Partitions(
        count=count,
        delegated=tuple(node.name for node in ops if chosen[node]),
        fallback=tuple(node.name for node in ops if not chosen[node]),
    )


def _round(waiting: Sequence[Node], done: set[Node], chosen: dict[Node, bool], on_delegate: bool) -> set[Node]:
    """All ops of one side that can be computed without the other side doing anything more."""
    taken: set[Node] = set()
    for node in waiting:
        needs = {source for source in node.all_input_nodes if source in chosen}
        if chosen[node] is on_delegate and needs <= done | taken:
            taken.add(node)
    return taken
