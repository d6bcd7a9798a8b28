"""One time step of LSTM, GRU and plain recurrent layers, in operations that every runtime has."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch.fx import Node

__all__ = ["GRU", "LSTM", "RNN", "Call", "Cell", "State", "Weights"]

aten = torch.ops.aten

# Adds a call of an operation with these arguments to a graph.
Call = Callable[..., Node]
# The hidden state, and the cell state of an LSTM: rows of a batch, or one row for all; None for zeros.
State = tuple[Node | None, ...]


@dataclass(frozen=True)
class Weights:
    """The weights of one layer in one direction, as nodes.

    Args:
        input: gates × input features.
        hidden: gates × hidden features.
        input_bias: one value a gate; None for no bias.
        hidden_bias: likewise.
        projection: hidden features × cell features, of an LSTM with `proj_size`.
    """

    input: Node
    hidden: Node
    input_bias: Node | None = None
    hidden_bias: Node | None = None
    projection: Node | None = None


class Cell(Protocol):
    """A kind of recurrent layer."""

    @property
    def gates(self) -> int:
        """Blocks of rows in its weights."""
        ...

    @property
    def states(self) -> int:
        """2 with a cell state, otherwise 1."""
        ...

    def merge_biases(self, call: Call, weights: Weights) -> Weights:
        """Move into the bias of the input all that does not depend on the hidden state."""
        ...

    def step(self, call: Call, weights: Weights, given: Node, state: State) -> State:
        """The next state.

        Args:
            call: adds a node.
            weights: with merged biases.
            given: batch × gates, the input's share.
            state: the state before.
        """
        ...


@dataclass(frozen=True)
class LSTM:
    """Gates i, f, g, o; c ← σ(f)·c + σ(i)·tanh(g), h ← σ(o)·tanh(c).

    Source: the documentation of `torch.nn.LSTM`.
    """

    gates: int = 4
    states: int = 2

    def merge_biases(self, call: Call, weights: Weights) -> Weights:
        """One bias for both products: they are only ever added."""
        return _one_bias(call, weights)

    def step(self, call: Call, weights: Weights, given: Node, state: State) -> State:
        """As the class says."""
        hidden, cell = state
        i, f, g, o = _split(call, _added(call, given, weights, hidden), [_size(weights, self.gates)] * 4)
        kept = None if cell is None else call(aten.mul.Tensor, call(aten.sigmoid.default, f), cell)
        new = call(aten.mul.Tensor, call(aten.sigmoid.default, i), call(aten.tanh.default, g))
        cell = _plus(call, new, kept)
        hidden = call(aten.mul.Tensor, call(aten.sigmoid.default, o), call(aten.tanh.default, cell))
        if weights.projection is not None:
            hidden = call(aten.linear.default, hidden, weights.projection)
        return hidden, cell


@dataclass(frozen=True)
class GRU:
    """Gates r, z, n; n ← tanh(x_n + σ(r)·h_n), h ← n + σ(z)·(h − n), with the bias of h_n inside the product.

    Source: the documentation of `torch.nn.GRU`.
    """

    gates: int = 3
    states: int = 1

    def merge_biases(self, call: Call, weights: Weights) -> Weights:
        """The hidden bias of r and z moves; that of n stays, because it is multiplied by r."""
        both = weights.hidden_bias
        if both is None or weights.input_bias is None:
            return weights
        size = _size(weights, self.gates)
        moved = call(aten.constant_pad_nd.default, call(aten.slice.Tensor, both, 0, 0, 2 * size), [0, size])
        stays = call(aten.constant_pad_nd.default, call(aten.slice.Tensor, both, 0, 2 * size, 3 * size), [2 * size, 0])
        merged = call(aten.add.Tensor, weights.input_bias, moved)
        return replace(weights, input_bias=merged, hidden_bias=stays)

    def step(self, call: Call, weights: Weights, given: Node, state: State) -> State:
        """As the class says."""
        (hidden,) = state
        size = _size(weights, self.gates)
        given_gates, given_new = _split(call, given, [2 * size, size])
        if hidden is None:
            gates, new = given_gates, None if weights.hidden_bias is None else _last(call, weights.hidden_bias, size)
        else:
            hidden_gates, new = _split(call, _product(call, weights, hidden), [2 * size, size])
            gates = call(aten.add.Tensor, given_gates, hidden_gates)
        r, z = _split(call, call(aten.sigmoid.default, gates), [size, size])
        reset = None if new is None else call(aten.mul.Tensor, r, new)
        candidate = call(aten.tanh.default, _plus(call, given_new, reset))
        if hidden is None:
            return (call(aten.sub.Tensor, candidate, call(aten.mul.Tensor, z, candidate)),)
        return (call(aten.add.Tensor, candidate, call(aten.mul.Tensor, z, call(aten.sub.Tensor, hidden, candidate))),)


@dataclass(frozen=True)
class RNN:
    """h ← activation(x + h).

    Args:
        activation: `aten.tanh.default` or `aten.relu.default`.

    Source: the documentation of `torch.nn.RNN`.
    """

    activation: Any
    gates: int = 1
    states: int = 1

    def merge_biases(self, call: Call, weights: Weights) -> Weights:
        """One bias for both products: they are only ever added."""
        return _one_bias(call, weights)

    def step(self, call: Call, weights: Weights, given: Node, state: State) -> State:
        """As the class says."""
        (hidden,) = state
        return (call(self.activation, _added(call, given, weights, hidden)),)


def _one_bias(call: Call, weights: Weights) -> Weights:
    if weights.hidden_bias is None:
        return weights
    merged = _plus(call, weights.hidden_bias, weights.input_bias)
    return replace(weights, input_bias=merged, hidden_bias=None)


def _size(weights: Weights, gates: int) -> int:
    return int(weights.hidden.meta["val"].shape[0]) // gates


def _product(call: Call, weights: Weights, hidden: Node) -> Node:
    return call(aten.linear.default, hidden, weights.hidden, weights.hidden_bias)


def _added(call: Call, given: Node, weights: Weights, hidden: Node | None) -> Node:
    """The shares of the input and of the hidden state."""
    return given if hidden is None else call(aten.add.Tensor, given, _product(call, weights, hidden))


def _plus(call: Call, one: Node, other: Node | None) -> Node:
    return one if other is None else call(aten.add.Tensor, one, other)


def _split(call: Call, rows: Node, sizes: list[int]) -> list[Node]:
    pieces = call(aten.split_with_sizes.default, rows, sizes, 1)
    return [call(operator.getitem, pieces, index) for index in range(len(sizes))]


def _last(call: Call, bias: Node, size: int) -> Node:
    return call(aten.slice.Tensor, bias, 0, 2 * size, 3 * size)
