"""Each loss against its formula written out by hand, and what it must not depend on."""

from __future__ import annotations

import pytest
import torch

from pocketfit.compress.training.losses import AttentionTransfer, Correlated, Decoupled, Hint, SoftLabels, divergence
from pocketfit.errors import OptionError

# Sums of float32 logarithms in another order.
NEAR = {"rel": 1e-4, "abs": 1e-6}
LABELS = torch.tensor([1, 0, 3, 2, 2, 1])
LOGIT_LOSSES = [SoftLabels(), Decoupled(), Correlated()]


def logits(seed: int) -> torch.Tensor:
    return 3 * torch.randn(6, 4, generator=torch.Generator().manual_seed(seed))


def features(seed: int, channels: int = 5, size: int = 8) -> torch.Tensor:
    return torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("share", [0.7, 0.3])
def test_soft_labels_are_the_two_parts_with_their_shares(share):
    student, teacher = logits(0), logits(1)
    p, q = (teacher / 4).softmax(1), (student / 4).softmax(1)
    soft = 16 * (p * (p / q).log()).sum(1).mean()
    hard = -student.log_softmax(1)[torch.arange(6), LABELS].mean()
    expected = float(share * soft + (1 - share) * hard)
    assert float(SoftLabels(4, share)(student, teacher, LABELS)) == pytest.approx(expected, **NEAR)


def test_unknown_labels_are_left_out():
    student, teacher = logits(0), logits(1)
    loss = SoftLabels()
    assert torch.equal(loss(student, teacher), loss(student, teacher, torch.full((6,), -1)))
    some = torch.where(torch.arange(6) < 3, LABELS, -1)
    hard = -student.log_softmax(1)[torch.arange(3), LABELS[:3]].mean()
    expected = float(0.7 * divergence(student, teacher, 4) + 0.3 * hard)
    assert float(loss(student, teacher, some)) == pytest.approx(expected, **NEAR)


def test_gradients_of_soft_labels_keep_their_size_as_the_temperature_rises():
    sizes = []
    for temperature in (4.0, 40.0):
        student = logits(0).requires_grad_()
        divergence(student, logits(1), temperature).backward()
        sizes.append(float(student.grad.norm()))
    assert 0.5 < sizes[1] / sizes[0] < 2  # without T² it would be a hundredth


def test_decoupled_parts_make_up_the_divergence():
    """Equation 6 of the paper: KD = TCKD + (1 - p) NCKD, sample by sample."""
    for student, teacher, label in zip(logits(0), logits(1), LABELS, strict=True):
        doubt = 1 - float((teacher / 4).softmax(0)[label])
        loss = Decoupled(target=1, others=doubt, temperature=4)
        got = loss(student[None], teacher[None], label[None])
        assert float(got) == pytest.approx(float(divergence(student[None], teacher[None], 4)), **NEAR)


def test_decoupled_takes_the_teachers_word_where_there_is_no_label():
    student, teacher = logits(0), logits(1)
    assert torch.equal(Decoupled()(student, teacher), Decoupled()(student, teacher, teacher.argmax(1)))


def test_correlated_is_one_less_pearson():
    student, teacher = logits(0), logits(1)
    one, other = (student / 4).softmax(1), (teacher / 4).softmax(1)
    rows = [torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(one, other, strict=True)]
    columns = [torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(one.T, other.T, strict=True)]
    expected = 16 * (2 * (1 - sum(rows) / 6) + 2 * (1 - sum(columns) / 4))
    assert float(Correlated()(student, teacher)) == pytest.approx(float(expected), **NEAR)


@pytest.mark.parametrize("loss", LOGIT_LOSSES, ids=lambda loss: type(loss).__name__)
def test_nothing_is_left_to_learn_from_an_equal(loss):
    student = logits(0).requires_grad_()
    value = loss(student, logits(0))
    value.backward()
    assert float(value.detach()) == pytest.approx(0, abs=1e-4)  # 16 times what float32 leaves of 1 - 1
    assert float(student.grad.abs().max()) < 1e-3


@pytest.mark.parametrize("loss", LOGIT_LOSSES, ids=lambda loss: type(loss).__name__)
def test_a_student_learns(loss):
    student = logits(0).requires_grad_()
    optimizer = torch.optim.Adam([student], 0.1)
    first = float(loss(student, logits(1), LABELS))
    for _ in range(60):
        optimizer.zero_grad()
        loss(student, logits(1), LABELS).backward()
        optimizer.step()
    assert float(loss(student, logits(1), LABELS)) < 0.5 * first


def test_attention_does_not_ask_for_channels_or_size():
    student, teacher = features(0), features(0)
    loss = AttentionTransfer()
    assert float(loss(student, teacher.flip(1) * 7)) == pytest.approx(0, abs=1e-9)
    assert float(loss(student, features(1, channels=9, size=4))) > 0.01


def test_a_hint_is_learned_through_the_convolution():
    loss = Hint(5, 9)
    teacher = loss.match(features(0)).detach()
    assert float(loss(features(0), teacher)) == 0
    assert float(loss(features(0, size=16), teacher)) > 0
    loss(features(1), teacher).backward()
    assert loss.match.weight.grad is not None


@pytest.mark.parametrize(("temperature", "share"), [(0.0, 0.7), (-1.0, 0.7), (4.0, 1.1), (4.0, -0.1)])
def test_options_out_of_range(temperature, share):
    with pytest.raises(OptionError):
        SoftLabels(temperature, share)
