"""Recurrent layers as torch's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pocketfit.models.onnx_ops.call import Call, Operator, Value

__all__ = ["TABLE"]

# Which block of ONNX's rows is torch's next: (i, o, f, c) as (i, f, c, o), (z, r, h) as (r, z, h).
_LSTM, _GRU, _RNN = (0, 2, 3, 1), (1, 0, 2), (0,)
_DEFAULTS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}


def _lstm(call: Call) -> tuple[Value, ...]:
    if call.has(7) and np.any(call.numbers(7)):
        call.refuse("torch's LSTM has no peepholes.", _EXPORT)
    x, weights = _prepared(call, _LSTM)
    states = (_state(call, 5, x), _state(call, 6, x))
    rows, hidden, cell = torch.lstm(x, states, weights, True, 1, 0.0, False, _is_both(call), False)
    return _results(call, rows, hidden, cell)


def _gru(call: Call) -> tuple[Value, ...]:
    x, weights = _prepared(call, _GRU)
    if not call.get("linear_before_reset", 0):
        return _early_gru(call, x, weights)
    rows, hidden = torch.gru(x, _state(call, 5, x), weights, True, 1, 0.0, False, _is_both(call), False)
    return _results(call, rows, hidden)


def _early_gru(call: Call, x: Tensor, weights: Sequence[Tensor]) -> tuple[Value, ...]:
    """The form that resets the state before the product, which torch has not: written out step by step."""
    starts, rows, last = _state(call, 5, x), [], []
    for index in range(_directions(call)):
        steps = list(x.unbind(0))[:: -1 if index else 1]
        states = _early_steps(steps, starts[index], weights[4 * index : 4 * index + 4])
        rows.append(torch.stack(states[:: -1 if index else 1]))
        last.append(states[-1])
    return _results(call, torch.cat(rows, 2), torch.stack(last))


def _early_steps(steps: Sequence[Tensor], state: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    by_input, by_state, input_bias, state_bias = weights
    size, states = state.shape[-1], []
    for step in steps:
        given = F.linear(step, by_input, input_bias + state_bias)
        kept = F.linear(state, by_state[: 2 * size])
        reset, update = torch.sigmoid(given[:, : 2 * size] + kept).chunk(2, 1)
        new = torch.tanh(given[:, 2 * size :] + F.linear(reset * state, by_state[2 * size :]))
        state = new + update * (state - new)
        states.append(state)
    return states


def _rnn(call: Call) -> tuple[Value, ...]:
    x, weights = _prepared(call, _RNN)
    function: Callable[..., Any] = torch.rnn_relu if _activations(call)[0] == "Relu" else torch.rnn_tanh
    rows, hidden = function(x, _state(call, 5, x), weights, True, 1, 0.0, False, _is_both(call), False)
    return _results(call, rows, hidden)


_EXPORT = "Export the layer as PyTorch and Keras have it by default."


def _prepared(call: Call, order: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
    """The steps in the direction of reading, and the weights as torch wants them."""
    _check(call)
    x = call.tensor(0)
    x = x.transpose(0, 1) if call.get("layout", 0) else x
    x = x.flip(0) if call.get("direction") == "reverse" else x
    return x, [weight for index in range(_directions(call)) for weight in _weights(call, index, order)]


def _weights(call: Call, direction: int, order: Sequence[int]) -> list[Tensor]:
    """Of input and state, then their biases, of one direction."""
    size = call.get("hidden_size")
    inputs, states = call.tensor(1)[direction], call.tensor(2)[direction]
    both = call.optional(3)
    both = torch.zeros(2 * len(order) * size) if both is None else both[direction]
    return [_ordered(part, order, size) for part in (inputs, states, *both.chunk(2))]


def _ordered(rows: Tensor, order: Sequence[int], size: int) -> Tensor:
    return torch.cat([rows[gate * size : (gate + 1) * size] for gate in order])


def _state(call: Call, index: int, x: Tensor) -> Tensor:
    """At the beginning: directions × batch × size; one row may stand for the whole batch."""
    sizes = (_directions(call), x.shape[1], call.get("hidden_size"))
    if not call.has(index) or (call.is_known(index) and not np.any(call.numbers(index))):
        return x.new_zeros(sizes)
    state = call.tensor(index)
    return (state.transpose(0, 1) if call.get("layout", 0) else state).expand(sizes)


def _results(call: Call, rows: Tensor, *states: Tensor) -> tuple[Value, ...]:
    """All steps with an axis for the direction, then the last state, as ONNX wants them."""
    rows = rows.flip(0) if call.get("direction") == "reverse" else rows
    rows = torch.unflatten(rows, 2, (_directions(call), -1)).transpose(1, 2)
    if call.get("layout", 0):
        return rows.permute(2, 0, 1, 3), *(state.transpose(0, 1) for state in states)
    return rows, *states


def _is_both(call: Call) -> bool:
    return bool(call.get("direction") == "bidirectional")


def _directions(call: Call) -> int:
    return 2 if _is_both(call) else 1


def _activations(call: Call) -> list[str]:
    return list(call.get("activations") or _DEFAULTS[call.node.op] * _directions(call))


def _check(call: Call) -> None:
    default, given = _DEFAULTS[call.node.op] * _directions(call), _activations(call)
    is_relu = call.node.op == "RNN" and given == ["Relu"] * len(given)
    if given != default and not is_relu:
        call.refuse(f"the activations {', '.join(given)} are not torch's.", _EXPORT)
    if call.get("clip") or call.get("input_forget", 0):
        call.refuse("torch's layer has no clip and no input_forget.", _EXPORT)
    if call.has(4) and set(call.integers(4) or []) != {call.tensor(0).shape[1 if call.get("layout", 0) else 0]}:
        call.refuse("sequences of different lengths are not supported.", "Export the model with one length.")


TABLE: Mapping[str, Operator] = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}
