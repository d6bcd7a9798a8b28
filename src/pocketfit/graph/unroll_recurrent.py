"""Write recurrent layers out step by step, in operations that every runtime has."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.fx import GraphModule, Node

from pocketfit.graph.attributes import constant
from pocketfit.graph.base import Pass
from pocketfit.graph.recurrent_cells import GRU, LSTM, RNN, Cell, State, Weights
from pocketfit.graph.writer import Writer

__all__ = ["MAX_STEPS", "UnrollRecurrent"]

aten = torch.ops.aten

# A step is some twelve nodes, each with numbers of its own in an INT8 plan: beyond this, exporting, converting and
# loading take minutes.
MAX_STEPS = 512


class UnrollRecurrent(Pass):
    """Replace LSTM, GRU and plain recurrent layers, and single cells of them, by linear layers and gates.

    1. The input's share of all steps is one linear layer; each step then adds that of the hidden state.
    2. A state that starts at zero is never computed with; one that starts as one row for the whole batch is that row.
    3. Only results that something reads are put together: `y[:, -1]` and `h[-1]` are the step itself.
    4. Left alone: packed sequences, dropout that is active, a number of steps that is not fixed, and more than
       `MAX_STEPS` of them, all layers and directions counted.
    """

    name = "unroll-recurrent"
    # The share of a step is summed in another order than torch's fused kernel does.
    tolerance = 1e-5

    def apply(self, module: GraphModule) -> int:
        """Unroll and count the layers."""
        changes = 0
        for node in list(module.graph.nodes):
            if node.target in _SEQUENCES:
                changes += _unroll_sequence(module, node)
            elif node.target in _CELLS:
                changes += _unroll_cell(module, node)
        return changes


_SEQUENCES: dict[Any, Cell] = {
    aten.lstm.input: LSTM(),
    aten.gru.input: GRU(),
    aten.rnn_tanh.input: RNN(aten.tanh.default),
    aten.rnn_relu.input: RNN(aten.relu.default),
}
_CELLS: dict[Any, Cell] = {
    aten.lstm_cell.default: LSTM(),
    aten.gru_cell.default: GRU(),
    aten.rnn_tanh_cell.default: RNN(aten.tanh.default),
    aten.rnn_relu_cell.default: RNN(aten.relu.default),
}
_ZEROS = frozenset({aten.zeros.default, aten.zeros_like.default, aten.new_zeros.default})
_REPEATS = frozenset({aten.expand.default, aten.repeat.default})
_SWAPS = frozenset({aten.transpose.int, aten.permute.default})


@dataclass(frozen=True)
class _Layers:
    """The arguments of a recurrent node.

    Args:
        cell: the kind.
        sequence: batch × time × features, or time × batch × features.
        state: one node per state, layer and direction × batch × features.
        weights: one per layer and direction.
        directions: 2 when it also runs backwards.
        steps: the length of the sequence.
        batch_first: the order of the sequence's axes, and of the result's.
    """

    cell: Cell
    sequence: Node
    state: tuple[Node, ...]
    weights: tuple[Weights, ...]
    directions: int
    steps: int
    batch_first: bool


def _unroll_sequence(module: GraphModule, node: Node) -> int:
    layers = _layers(node)
    if layers is None or layers.steps * len(layers.weights) > MAX_STEPS:
        return 0
    write = Writer(module, node)
    hidden, final = _run(write, layers)
    for result in list(node.users):
        index: Any = result.args[1]
        if index == 0:
            _replace_sequence(write, result, hidden, layers.batch_first)
        else:
            _replace_final(write, result, [state[index - 1] for state in final])
    module.graph.erase_node(node)
    return 1


def _layers(node: Node) -> _Layers | None:
    """What a recurrent node computes; None where that cannot be written out."""
    cell = _SEQUENCES[node.target]
    sequence, state, weights, has_biases, count, dropout, training, both_ways, batch_first = node.args
    batch_first = bool(batch_first)
    steps = node.meta["val"][0].shape[1 if batch_first else 0]
    if not isinstance(steps, int) or (training and dropout):
        return None
    directions = 2 if both_ways else 1
    return _Layers(
        cell=cell,
        sequence=sequence,  # type: ignore[arg-type]
        state=tuple(state) if cell.states == 2 else (state,),  # type: ignore[arg-type]
        weights=_weights(weights, count * directions, bool(has_biases)),  # type: ignore[arg-type, operator]
        directions=directions,
        steps=steps,
        batch_first=batch_first,
    )


def _weights(flat: Sequence[Node], count: int, has_biases: bool) -> tuple[Weights, ...]:
    """torch's flat list: input, hidden, the two biases if any, and the projection if any, layer by layer."""
    each = len(flat) // count
    groups = [flat[start : start + each] for start in range(0, len(flat), each)]
    biases = 4 if has_biases else 2
    return tuple(
        Weights(*group[:biases], projection=group[biases] if each > biases else None)  # type: ignore[misc]
        for group in groups
    )


def _run(write: Writer, layers: _Layers) -> tuple[list[Node], list[State]]:
    """The hidden state after each step of the last layer, and the final state of each layer and direction."""
    sequence = layers.sequence if layers.batch_first else _swapped(write, layers.sequence)
    hidden: list[Node] = []
    final: list[State] = []
    for first in range(0, len(layers.weights), layers.directions):
        if first > 0:
            sequence = _sequence(write, hidden)
        ways = [_run_one_way(write, layers, index, sequence) for index in range(first, first + layers.directions)]
        final += [states[0 if index else -1] for index, states in enumerate(ways)]
        hidden = [_beside(write, [state[0] for state in step]) for step in zip(*ways, strict=True)]
    return hidden, final


def _run_one_way(write: Writer, layers: _Layers, index: int, sequence: Node) -> list[State]:
    """The states after each step of one layer in one direction, in the order of time."""
    weights = layers.cell.merge_biases(write, layers.weights[index])
    given = _given(write, weights, sequence, layers.steps)
    state: State = tuple(_initial(write, node, index) for node in layers.state)
    backwards = index % layers.directions == 1
    states = []
    for rows in reversed(given) if backwards else given:
        state = layers.cell.step(write, weights, rows, state)
        states.append(state)
    return states[::-1] if backwards else states


def _given(write: Writer, weights: Weights, sequence: Node, steps: int) -> list[Node]:
    """The input's share of each step: one linear layer over all of them, and its rows step by step."""
    gates = int(weights.input.meta["val"].shape[0])
    product = write(aten.linear.default, sequence, weights.input, weights.input_bias)
    # Cut as one long row a sample: a single operation, where selecting would be one a step.
    pieces = write(aten.split.Tensor, write(aten.reshape.default, product, [-1, steps * gates]), gates, 1)
    return [write(operator.getitem, pieces, step) for step in range(steps)]


def _initial(write: Writer, state: Node, index: int) -> Node | None:
    """Where one layer and direction starts; None for zeros."""
    if _is_zero(write.module, state):
        return None
    source = state.args[0] if state.target in _REPEATS else None
    if isinstance(source, Node) and source.meta["val"].shape[:2] == (state.meta["val"].shape[0], 1):
        state = source
    return write(aten.select.int, state, 0, index)


def _is_zero(module: GraphModule, node: Node) -> bool:
    value = constant(module, node)
    return node.target in _ZEROS or (value is not None and not value.any())


def _swapped(write: Writer, sequence: Node) -> Node:
    """Time and batch the other way round."""
    if sequence.target in _SWAPS and sequence.args[1:] in ((0, 1), (1, 0), ([1, 0, 2],)):
        return sequence.args[0]  # type: ignore[return-value]
    return write(aten.transpose.int, sequence, 0, 1)


def _beside(write: Writer, parts: list[Any]) -> Node:
    return parts[0] if len(parts) == 1 else write(aten.cat.default, parts, 1)


def _sequence(write: Writer, hidden: list[Node]) -> Node:
    """batch × time × features."""
    features = hidden[0].meta["val"].shape[1]
    return write(aten.reshape.default, _beside(write, hidden), [-1, len(hidden), features])


def _replace_sequence(write: Writer, result: Node, hidden: list[Node], batch_first: bool) -> None:
    """Hand each reader its step, or all of them, put together once."""
    time = 1 if batch_first else 0
    for user in list(result.users):
        if user.target is aten.select.int and user.args[1] in (time, time - 3):
            _replace(user, hidden[user.args[2]])  # type: ignore[index]
    if result.users:
        sequence = _sequence(write, hidden)
        result.replace_all_uses_with(sequence if batch_first else write(aten.transpose.int, sequence, 0, 1))
    result.graph.erase_node(result)


def _replace_final(write: Writer, result: Node, states: list[Any]) -> None:
    """Hand each reader its layer's state, or all of them, stacked once."""
    for user in list(result.users):
        if user.target is aten.select.int and user.args[1] in (0, -3):
            _replace(user, states[user.args[2]])  # type: ignore[index]
        elif user.target is aten.squeeze.dim and user.args[1] in (0, -3) and len(states) == 1:
            _replace(user, states[0])
    if result.users:
        result.replace_all_uses_with(write(aten.stack.default, states))
    result.graph.erase_node(result)


def _unroll_cell(module: GraphModule, node: Node) -> int:
    """A single step, for loops that are written in the user's own code."""
    cell, write = _CELLS[node.target], Writer(module, node)
    rows, state, *weights = node.args
    states: Any = state if cell.states == 2 else [state]
    merged = cell.merge_biases(write, Weights(*weights))  # type: ignore[arg-type]
    given = write(aten.linear.default, rows, merged.input, merged.input_bias)
    after = cell.step(write, merged, given, tuple(None if _is_zero(module, one) else one for one in states))
    if cell.states == 1:
        node.replace_all_uses_with(after[0])  # type: ignore[arg-type]
    for result in list(node.users):
        _replace(result, after[result.args[1]])  # type: ignore[index]
    module.graph.erase_node(node)
    return 1


def _replace(node: Node, by: Any) -> None:
    node.replace_all_uses_with(by)
    node.graph.erase_node(node)
