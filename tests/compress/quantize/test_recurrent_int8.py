"""Recurrent networks through calibration, plan and simulation: digits read row by row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from pocketfit.compress.quantize.bias_correction import correct_biases
from pocketfit.compress.quantize.calibrate import calibrate
from pocketfit.compress.quantize.lower import Activations, Weights, lower
from pocketfit.compress.quantize.placement import place
from pocketfit.compress.quantize.plan import int8_plan
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.models.canonical import canonicalise
from pocketfit.types import LoadedModel, QuantizationPlan, Scheme

ROWS, UNITS = 8, 24
LEARNT, CALIBRATION = 1000, 100


class Reader(nn.Module):
    """A recurrent layer with random weights, and a linear layer over all of its states."""

    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.recurrent = kind(ROWS, UNITS, batch_first=True)
        self.output = nn.Linear(ROWS * UNITS, 10)

    def states(self, x: torch.Tensor) -> torch.Tensor:
        return self.recurrent(x)[0].flatten(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output(self.states(x))


@dataclass(frozen=True)
class Read:
    """A network, its plan, the images held out, their digits and what the float network answers."""

    model: LoadedModel
    plan: QuantizationPlan
    calibration: list[np.ndarray]
    images: list[np.ndarray]
    digits: np.ndarray
    answers: np.ndarray


def learnt(kind: type[nn.RNNBase], images: torch.Tensor, digits: torch.Tensor) -> Reader:
    """Only the linear layer learns, and in closed form: least squares on one-hot targets, lightly regularised."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        reader = Reader(kind)
    with torch.no_grad():
        # The default weights hardly move the gates; trained ones do.
        reader.recurrent.weight_hh_l0.mul_(3)
        states = reader.states(images)
        center = states.mean(0)
        targets = nn.functional.one_hot(digits, 10).float() - 0.1
        gram = (states - center).T @ (states - center) + 0.1 * torch.eye(states.shape[1])
        weight = torch.linalg.solve(gram, (states - center).T @ targets).T
        reader.output.weight.copy_(weight)
        reader.output.bias.copy_(-weight @ center)
    return reader


@pytest.fixture(scope="module", params=[nn.LSTM, nn.GRU], ids=["lstm", "gru"])
def read(request: pytest.FixtureRequest) -> Read:
    source = load_digits()
    order = np.random.default_rng(0).permutation(len(source.target))
    images, digits = (source.images / 16).astype(np.float32)[order], source.target[order]
    module = learnt(request.param, torch.from_numpy(images[:LEARNT]), torch.from_numpy(digits[:LEARNT]))
    model = canonicalise(module, (ROWS, ROWS), name="reader")
    calibration = [images[:CALIBRATION]]
    statistics = calibrate(model.graph, calibration, place(model.graph).tensors)
    plan = int8_plan(model, statistics, data_fingerprint="digits", samples=CALIBRATION)
    with torch.no_grad():
        answers = model.graph(torch.from_numpy(images[LEARNT:])).argmax(1).numpy()
    return Read(model, plan, calibration, [images[LEARNT:]], digits[LEARNT:], answers)


@pytest.mark.parametrize("scheme", Scheme)
def test_int8_costs_next_to_nothing(read, scheme):
    answers = simulate(read.model, read.plan, scheme, read.images).argmax(1)
    percent, float_percent = (100 * float(np.mean(given == read.digits)) for given in (answers, read.answers))
    assert float_percent > 90  # otherwise a drop says nothing
    # What issue and budget ask of recurrent networks.
    assert float_percent - percent <= 0.5
    # A wrong gate or a wrong step gives other answers for a third of the images and more.
    assert np.mean(answers == read.answers) >= 0.98


def test_every_product_of_every_step_is_a_layer(read):
    products = [node.name for node in read.model.graph.graph.nodes if str(node.target) == "aten.linear.default"]
    # One for the input of all steps, one for the state of each step but the first, one for the answer.
    assert len(products) == 1 + (ROWS - 1) + 1
    assert list(read.plan.layers) == products
    assert read.model.dynamic_batch


def test_the_states_of_all_steps_share_one_scale(read):
    products = [node for node in read.model.graph.graph.nodes if node.name in read.plan.layers]
    read_by = [read.plan.activations[node.args[0].name] for node in products[1:]]
    # They are concatenated for the last layer, and a concatenation cannot requantize.
    assert len({activation.scale for activation in read_by}) == 1


@pytest.mark.parametrize("form", Weights)
def test_the_weight_of_the_state_is_stored_once(read, form):
    lowered = lower(read.model.graph, read.plan, Activations.UNSIGNED, form)
    shape = read.model.graph.get_parameter("recurrent.weight_hh_l0").shape
    stored = [value for _, value in (*lowered.named_buffers(), *lowered.named_parameters()) if value.shape == shape]
    assert len(stored) == 1


def test_each_step_gets_a_bias_of_its_own(read):
    corrected, quality = correct_biases(read.model, read.plan, read.calibration)
    assert [layer.name for layer in quality[Scheme.SYMMETRIC]] == list(read.plan.layers)
    biases = {layer.bias[Scheme.SYMMETRIC] for layer in corrected.layers.values() if Scheme.SYMMETRIC in layer.bias}
    # Correction may be left out where it does harm, but is never shared between the steps.
    assert len(biases) in (0, len(read.plan.layers))
