from __future__ import annotations

import pytest
import torch
from torch import nn

from pocketfit.graph import FoldConstants, UnrollRecurrent, optimise, unroll_recurrent
from pocketfit.graph.base import relative_error

STEPS, FEATURES, UNITS = 3, 4, 5


class Recurrent(nn.Module):
    """A recurrent layer, and the part of its results that the network reads."""

    def __init__(self, kind, read, **options):
        super().__init__()
        torch.manual_seed(0)
        self.layer = kind(FEATURES, UNITS, **options)
        self.read = read

    def forward(self, x):
        sequence = x if self.layer.batch_first else x.transpose(0, 1)
        return self.read(*self.layer(sequence))


class Started(nn.Module):
    """A GRU whose initial state is a weight."""

    def __init__(self, spread):
        super().__init__()
        torch.manual_seed(0)
        self.start = nn.Parameter(torch.randn(1, 1, UNITS))
        self.layer = nn.GRU(FEATURES, UNITS, batch_first=True)
        self.spread = spread

    def forward(self, x):
        return self.layer(x, self.spread(self.start, x))[0]


class Cells(nn.Module):
    """A loop over cells, written by hand."""

    def __init__(self, kind, **options):
        super().__init__()
        torch.manual_seed(0)
        self.cell = kind(FEATURES, UNITS, **options)

    def forward(self, x):
        state = None
        for step in range(STEPS):
            state = self.cell(x[:, step], state)
        return state[1] if isinstance(state, tuple) else state


class TwoInARow(nn.Module):
    """A second layer that starts where the first one ended."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.LSTM(FEATURES, UNITS, batch_first=True)
        self.decoder = nn.LSTM(UNITS, UNITS, batch_first=True)

    def forward(self, x):
        sequence, state = self.encoder(x)
        return self.decoder(sequence, state)[0]


def everything(y, state):
    return y


def last_step(y, state):
    return y[:, -1]


def hidden(state):
    return state[0] if isinstance(state, tuple) else state


CASES = {
    "lstm": Recurrent(nn.LSTM, everything, batch_first=True),
    "lstm, time first, no bias": Recurrent(nn.LSTM, lambda y, state: y.transpose(0, 1), bias=False),
    "lstm, two layers both ways": Recurrent(nn.LSTM, everything, batch_first=True, num_layers=2, bidirectional=True),
    "lstm, last step both ways": Recurrent(nn.LSTM, last_step, batch_first=True, bidirectional=True),
    "lstm, projected": Recurrent(nn.LSTM, last_step, batch_first=True, proj_size=2, bias=False),
    "lstm, cell states": Recurrent(nn.LSTM, lambda y, state: state[1].transpose(0, 1), num_layers=2),
    "gru": Recurrent(nn.GRU, everything, batch_first=True),
    "gru, time first, no bias": Recurrent(nn.GRU, lambda y, state: y[-1], bias=False),
    "gru, last state both ways": Recurrent(
        nn.GRU, lambda y, state: hidden(state)[-1], batch_first=True, num_layers=2, bidirectional=True
    ),
    "gru, only state": Recurrent(nn.GRU, lambda y, state: state.squeeze(0), batch_first=True),
    "rnn": Recurrent(nn.RNN, everything, batch_first=True),
    "rnn, relu": Recurrent(nn.RNN, last_step, batch_first=True, nonlinearity="relu"),
    "start expanded": Started(lambda start, x: start.expand(1, x.shape[0], UNITS)),
    "start repeated": Started(lambda start, x: start.repeat(1, x.shape[0], 1)),
    "start computed": Started(lambda start, x: start + x[:, :1, :1].transpose(0, 1)),
    "start at zeros": Started(lambda start, x: x.new_zeros(1, x.shape[0], UNITS)),
    "two in a row": TwoInARow(),
    "lstm cells": Cells(nn.LSTMCell),
    "gru cells, no bias": Cells(nn.GRUCell, bias=False),
    "rnn cells": Cells(nn.RNNCell),
}


@pytest.fixture
def sequence() -> torch.Tensor:
    return torch.randn(3, STEPS, FEATURES, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("case", CASES)
def test_the_unrolled_graph_computes_the_same_for_any_batch(export, operations, sequence, case):
    module = CASES[case].eval()
    graph = export(module, sequence)
    assert UnrollRecurrent()(graph, sequence) >= 1
    assert not {name.split(".")[0] for name in operations(graph)} & {"lstm", "gru", "rnn_tanh", "rnn_relu"}
    with torch.no_grad():
        for batch in (sequence, sequence[:1]):
            # The pass was held to this on one batch; another tells rows of the batch from rows of weights.
            assert relative_error(module(batch), graph(batch)) <= UnrollRecurrent.tolerance


def test_the_default_passes_leave_one_product_for_the_input_and_one_for_each_later_step(export, operations, sequence):
    graph = optimise(export(CASES["lstm"], sequence), sequence)
    assert operations(graph).count("linear.default") == 1 + (STEPS - 1)
    weights = [str(node.args[1].target) for node in graph.graph.nodes if str(node.target) == "aten.linear.default"]
    assert weights == ["layer.weight_ih_l0"] + ["layer.weight_hh_l0"] * (STEPS - 1)
    # The sum of both biases is a constant by then, and no state of zeros is left.
    assert operations(graph).count("add.Tensor") == 2 * (STEPS - 1)
    assert not any(name.startswith(("zeros", "sym_size")) for name in operations(graph))


def test_a_start_that_is_a_weight_is_multiplied_once_and_for_all(export, operations, sequence):
    graph = optimise(export(CASES["start expanded"], sequence), sequence)
    assert operations(graph).count("linear.default") == 1 + (STEPS - 1)


def test_steps_that_nothing_reads_are_not_kept(export, operations, sequence):
    graph = optimise(export(CASES["lstm, last step both ways"], sequence), sequence)
    # Forwards all steps; backwards the last step alone, which comes first and starts at zero.
    assert operations(graph).count("linear.default") == 2 + (STEPS - 1)


def test_new_nodes_say_where_in_the_model_they_come_from(export, sequence):
    graph = export(CASES["gru"], sequence)
    UnrollRecurrent()(graph, sequence)
    products = [node for node in graph.graph.nodes if str(node.target) == "aten.linear.default"]
    assert {next(reversed(node.meta["nn_module_stack"].values()))[0] for node in products} == {"layer"}


@pytest.mark.parametrize(("limit", "unrolled"), [(2 * 2 * STEPS - 1, 0), (2 * 2 * STEPS, 1)])
def test_steps_of_all_layers_and_directions_are_counted(export, sequence, monkeypatch, limit, unrolled):
    # Exporting more steps than are really allowed takes torch a minute.
    monkeypatch.setattr(unroll_recurrent, "MAX_STEPS", limit)
    graph = export(CASES["lstm, two layers both ways"], sequence)
    assert UnrollRecurrent()(graph, sequence) == unrolled


def test_dropout_that_is_active_is_left_alone(export, operations, sequence):
    module = Recurrent(nn.LSTM, everything, batch_first=True, num_layers=2, dropout=0.5)
    graph = export(module, sequence)
    (node,) = graph.graph.find_nodes(op="call_function", target=torch.ops.aten.lstm.input)
    node.update_arg(6, True)
    assert UnrollRecurrent().apply(graph) == 0


def test_a_model_without_recurrent_layers_is_left_alone(export, image):
    assert UnrollRecurrent()(export(nn.Conv2d(4, 2, 3), image), image) == 0


def test_weights_that_are_computed_are_followed(export, operations, sequence):
    module = Recurrent(nn.GRU, everything, batch_first=True)
    nn.utils.parametrizations.weight_norm(module.layer, "weight_hh_l0")
    graph = export(module, sequence)
    assert UnrollRecurrent()(graph, sequence) == 1
    assert FoldConstants()(graph, sequence) >= 1
