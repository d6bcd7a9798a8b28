from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pocketfit.data import batches, load_data
from pocketfit.data.digits import read_digits
from pocketfit.models import canonicalise
from pocketfit.models.zoo.digits_cnn import DigitsCnn, trained_digits_cnn


@pytest.fixture(scope="module")
def trained():
    steps = []
    return trained_digits_cnn(lambda done, total: steps.append((done, total))), steps


def test_it_is_small_and_holds_what_quantization_finds_hard():
    network = DigitsCnn()
    assert 15_000 < sum(parameter.numel() for parameter in network.parameters()) < 25_000
    kinds = {type(module) for module in network.modules()}
    assert {torch.nn.Conv2d, torch.nn.BatchNorm2d, torch.nn.ReLU6, torch.nn.Linear} <= kinds
    assert any(isinstance(module, torch.nn.Conv2d) and module.groups > 1 for module in network.modules())


def test_it_answers_held_out_digits(trained):
    network, _ = trained
    samples = load_data("digits", preprocess=None, input_shape=(1, 8, 8), cache=Path("unused")).evaluation
    answers = torch.cat([network(torch.from_numpy(batch)).argmax(1) for batch in batches(samples, 256)])
    # The seed is fixed; this is the least that a demonstration should promise, and it reaches some 99%.
    assert (answers.numpy() == samples.labels).mean() >= 0.97


def test_it_never_sees_what_it_is_evaluated_with():
    digits = read_digits()
    assert not set(digits.training) & set(digits.held_out)
    assert len(digits.training) + len(digits.held_out) == 1797


def test_training_twice_gives_the_same_weights(trained):
    threads = torch.get_num_threads()
    state = trained_digits_cnn().state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in trained[0].state_dict().items())
    assert torch.get_num_threads() == threads


def test_progress_ends_at_the_total(trained):
    done, totals = zip(*trained[1], strict=True)
    assert set(totals) == {len(done)}
    assert list(done) == list(range(1, len(done) + 1))


def test_it_is_ready_for_the_canonical_form(trained):
    network, _ = trained
    assert not network.training
    assert canonicalise(network, network.input_shape, name="digits").dynamic_batch
