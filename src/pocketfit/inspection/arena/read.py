"""From an aten graph to a program: sizes, who writes and reads which buffer, and what may be written in place."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from math import prod

import torch
from torch.fx import GraphModule, Node
from torch.utils._pytree import tree_leaves

from pocketfit.errors import ModelError
from pocketfit.inspection.arena.program import Buffer, Op, Program, aligned
from pocketfit.inspection.arena.storage import is_pointwise, shape_of, shares_input
from pocketfit.models.canonical import source_of

__all__ = ["BytesPerElement", "read_program"]

BytesPerElement = int | Callable[[Node], int]


def read_program(graph: GraphModule, bytes_per_element: BytesPerElement = 4, in_place: bool = True) -> Program:
    """What a memory planner has to know of a graph, for a batch of one.

    Weights take no part. The input lives from the first step to its last use, the output from its op to the end.

    Args:
        graph: canonical, with the shapes that `torch.export` notes.
        bytes_per_element: of floating-point tensors, such as 4 for float32 and 1 for int8; or a function of the node
            that writes the tensor. Other tensors keep the size they have in torch.
        in_place: whether an op that works element by element may write over an input of the same size.

    Raises:
        ModelError: the shape of a tensor is not known, or a node writes into its input.
    """
    reader = _Reader(bytes_per_element)
    for node in graph.graph.nodes:
        reader.take(node)
    program = Program(tuple(reader.ops), tuple(reader.buffers))
    return program if in_place else program.without_sharing()


class _Reader:
    """Ops and buffers found so far, and where the value of each node lies."""

    def __init__(self, bytes_per_element: BytesPerElement) -> None:
        self._bytes_per_element = bytes_per_element
        self.ops: list[Op] = []
        self.buffers: list[Buffer] = []
        # Bytes of each buffer, not rounded.
        self._sizes: list[int] = []
        # Per node the buffers of each tensor it returns; none for weights and plain numbers.
        self._parts: dict[Node, tuple[tuple[int, ...], ...]] = {}
        # Per node the ops that it waits for.
        self._needs: dict[Node, frozenset[int]] = {}
        # The model's inputs: they are there before anything runs.
        self._inputs: frozenset[int] = frozenset()

    def take(self, node: Node) -> None:
        """Note what a node adds; nodes come in the order of the graph."""
        if node.op == "get_attr":
            self._parts[node], self._needs[node] = (), frozenset()
        elif node.op == "output":
            # Nothing runs after the answer is there, what nobody reads included.
            self.ops.append(Op(node.name, tuple(range(len(self.ops))), self._read_by(node)))
        elif _only_looks(node):
            self._look(node)
        else:
            self._compute(node)

    def _look(self, node: Node) -> None:
        self._needs[node] = self._waits_for(node)
        first = node.args[0] if node.args and _returns_tensors(node) else None
        parts = self._parts[first] if isinstance(first, Node) else ()
        if node.target is operator.getitem and len(parts) > 1:
            parts = (parts[node.args[1]],)  # type: ignore[index]
        self._parts[node] = parts

    def _compute(self, node: Node) -> None:
        _refuse_writes(node)
        number, needs, reads = len(self.ops), self._waits_for(node), self._read_by(node)
        self._parts[node] = tuple(self._new_buffers(node))
        writes = tuple(self._buffers_of(node))
        over = tuple(buffer for buffer in reads if len(writes) == 1 and self._may_be_overwritten(buffer, node))
        self.ops.append(Op(node.name, tuple(sorted(needs)), reads, writes, over))
        self._needs[node] = frozenset({number})
        if node.op == "placeholder":
            self._inputs |= {number}

    def _waits_for(self, node: Node) -> frozenset[int]:
        own = frozenset[int]().union(*(self._needs[read] for read in node.all_input_nodes))
        return own if node.op == "placeholder" else own | self._inputs

    def _read_by(self, node: Node) -> tuple[int, ...]:
        return tuple(sorted({buffer for read in node.all_input_nodes for buffer in self._buffers_of(read)}))

    def _buffers_of(self, node: Node) -> Iterator[int]:
        return (buffer for part in self._parts[node] for buffer in part)

    def _new_buffers(self, node: Node) -> Iterator[tuple[int, ...]]:
        """One buffer for each tensor that a node returns, and none for whatever else it does."""
        leaves = tree_leaves(node.meta["val"])
        for index, leaf in enumerate(leaves):
            if not isinstance(leaf, torch.Tensor):
                yield ()
                continue
            size = prod(shape_of(leaf)) * self._element_bytes(node, leaf)
            name = node.name if len(leaves) == 1 else f"{node.name}.{index}"
            self._sizes.append(size)
            self.buffers.append(Buffer(name, source_of(node), aligned(size)))
            yield (len(self.buffers) - 1,)

    def _element_bytes(self, node: Node, tensor: torch.Tensor) -> int:
        if not tensor.is_floating_point():
            return tensor.dtype.itemsize
        given = self._bytes_per_element
        return given if isinstance(given, int) else given(node)

    def _may_be_overwritten(self, buffer: int, node: Node) -> bool:
        """Whether each element of the output may be written where the element it is made from is read."""
        if not is_pointwise(node) or self._sizes[buffer] != self._sizes[-1]:
            return False
        wanted = prod(shape_of(node.meta["val"]))
        readers = [read for read in node.all_input_nodes if buffer in self._buffers_of(read)]
        return all(prod(shape_of(read.meta["val"])) == wanted for read in readers)


def _only_looks(node: Node) -> bool:
    """Whether a node writes no tensor: it takes one from a list, shares its input's memory, or returns a size."""
    if "val" not in node.meta:
        raise ModelError(
            f"The shape of {node.name} is not known. Memory is planned on a graph that torch.export wrote: "
            "load the model with pocketfit.load_model."
        )
    if not _returns_tensors(node) or node.target is operator.getitem:
        return True
    return node.op == "call_function" and shares_input(node)


def _returns_tensors(node: Node) -> bool:
    return any(isinstance(leaf, torch.Tensor) for leaf in tree_leaves(node.meta["val"]))


def _refuse_writes(node: Node) -> None:
    if isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable:
        raise ModelError(
            f"{node.name} ({node.target}) writes into its input. Memory is planned on graphs whose ops return new "
            "tensors: load the model with pocketfit.load_model, which writes it so."
        )
