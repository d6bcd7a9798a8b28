from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from pocketfit.compress.training.criterion import criterion
from pocketfit.compress.training.ema import MovingAverage
from pocketfit.compress.training.networks import Teacher
from pocketfit.compress.training.recipe import LoopRecipe, Schedule
from pocketfit.compress.training.samples import Order, TrainingSet
from pocketfit.contract import Color, Contract
from pocketfit.models.canonical import canonicalise
from pocketfit.types import LoadedModel, Samples


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    torch.manual_seed(0)
    return canonicalise(nn.Sequential(nn.Flatten(), nn.Linear(48, 5)), (3, 4, 4), name="flat")


def test_images_are_preprocessed_batch_by_batch() -> None:
    spec = Contract(color=Color.RGB)
    images = np.arange(4 * 2 * 2 * 3, dtype=np.uint8).reshape(4, 2, 2, 3)
    positions, inputs, labels = TrainingSet(Samples(images, np.array([3, 2, 1, 0]), spec)).__getitems__([2, 0])
    assert positions.tolist() == [2, 0]
    assert labels.tolist() == [1, 3]
    np.testing.assert_allclose(inputs.numpy(), images[[2, 0]].transpose(0, 3, 1, 2) / 255, rtol=1e-6)


def test_every_epoch_takes_each_sample_once_in_another_order() -> None:
    order = Order(10, 3, 2, seed=0)
    steps = list(order)
    assert len(steps) == len(order) == 6
    for epoch in (steps[:3], steps[3:]):
        assert len({position for batch in epoch for position in batch}) == 9  # the tenth waits
    assert steps[:3] != steps[3:]
    assert steps != list(Order(10, 3, 2, seed=1))


@pytest.mark.parametrize("start", range(7))
def test_an_order_can_be_taken_up_anywhere(start: int) -> None:
    whole, rest = Order(10, 3, 2, seed=0), Order(10, 3, 2, seed=0)
    rest.start = start
    assert list(rest) == list(whole)[start:]


@pytest.mark.parametrize("schedule", Schedule)
def test_rates_rise_and_fall(schedule: Schedule) -> None:
    recipe = LoopRecipe(schedule=schedule, warm_up=0.25)
    factors = [recipe.factor(step, 100) for step in range(100)]
    assert all(0 < factor <= 1 for factor in factors)
    assert factors[:25] == sorted(factors[:25]) and factors[0] < 0.1
    assert factors[25] == 1
    last = 1.0 if schedule is Schedule.CONSTANT else 0.01
    assert factors[25:] == sorted(factors[25:], reverse=True) and factors[-1] <= last


def test_an_average_follows_fast_in_the_beginning() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    average = MovingAverage([parameter], 0.9)
    for step in range(3):
        parameter.data.fill_(1.0)
        average.update(step)
    # Shares kept: 1/10, 2/11, 3/12.
    assert float(average.values[0]) == pytest.approx(1 - 1 / 10 * 2 / 11 * 3 / 12)
    average.apply()
    assert float(parameter.detach()) == float(average.values[0])


def test_the_divergence_is_zero_for_the_teachers_answers_and_softened_by_the_temperature(model: LoadedModel) -> None:
    student, teacher = torch.tensor([[0.0, 1.0, 2.0, 0.0, 0.0]]), torch.tensor([[2.0, 1.0, 0.0, 0.0, 0.0]])
    none = torch.tensor([-1])
    for temperature in (1.0, 4.0):
        loss = criterion(model, model, LoopRecipe(temperature=temperature), labelled=False)
        assert float(loss(teacher, teacher, none)) == pytest.approx(0, abs=1e-6)
        p, q = ((logits / temperature).softmax(1) for logits in (teacher, student))
        expected = float((p * (p / q).log()).sum()) * temperature**2
        assert float(loss(student, teacher, none)) == pytest.approx(expected, rel=1e-5)


def test_labels_have_their_share(model: LoadedModel) -> None:
    logits, labels = torch.tensor([[0.0, 1.0, 2.0, 0.0, 0.0]]), torch.tensor([1])
    loss = criterion(model, model, LoopRecipe(label_share=0.3), labelled=True)
    expected = 0.3 * float(nn.functional.cross_entropy(logits, labels))
    assert float(loss(logits, logits, labels)) == pytest.approx(expected, rel=1e-5)


def test_images_are_compared_number_by_number(model: LoadedModel) -> None:
    upscaler = replace(model, output=replace(model.output, shape=(1, 3, 8, 8)))
    loss = criterion(upscaler, upscaler, LoopRecipe(), labelled=True)
    teacher = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    # 10% off everywhere: 1% of the mean square, whatever the range of the pixels.
    for scale in (1, 255):
        assert float(loss(1.1 * scale * teacher, scale * teacher, torch.tensor([-1, -1]))) == pytest.approx(
            0.01, rel=1e-3
        )


class _Softmax(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x).softmax(1)


def test_probabilities_are_not_taken_for_logits() -> None:
    module = _Softmax()
    model = canonicalise(module, (4,), name="softmax")
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    teacher = module.layer(x).detach()
    student = teacher.flip(1)
    none = torch.full((5,), -1)
    loss = criterion(model, model, LoopRecipe(), labelled=False)
    expected = nn.functional.kl_div(student.log_softmax(1), teacher.softmax(1), reduction="batchmean")
    # No probability here is below the floor under the logarithm.
    assert float(loss(student.softmax(1), teacher.softmax(1), none)) == pytest.approx(float(expected), rel=1e-4)


def test_the_teachers_part_grows() -> None:
    recipe = LoopRecipe(teacher_warm_up=2)
    assert [recipe.growth(step, 2) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert LoopRecipe().growth(0, 100) == 1


def test_labels_count_in_full_while_the_teachers_part_grows() -> None:
    model = canonicalise(nn.Linear(4, 3), (4,), name="classes")
    student, teacher = (torch.randn(5, 3, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    labels = torch.tensor([0, 1, 2, 0, 1])
    loss = criterion(model, model, LoopRecipe(label_share=0.3), labelled=True)
    hard = float(nn.functional.cross_entropy(student, labels))
    whole, half = (float(loss(student, teacher, labels, growth)) for growth in (1.0, 0.5))
    assert half - 0.3 * hard == pytest.approx((whole - 0.3 * hard) / 2, rel=1e-5)


def test_the_teacher_answers_a_sample_once(model: LoadedModel) -> None:
    teacher = Teacher(model, torch.device("cpu"))
    inputs, positions = torch.randn(4, 3, 4, 4, generator=torch.Generator().manual_seed(0)), torch.arange(4)
    first, _ = teacher(positions, inputs)
    again, _ = teacher(positions.flip(0), torch.zeros_like(inputs))
    assert torch.equal(again, first.flip(0))
    teacher.room = 0
    teacher(torch.tensor([7]), inputs[:1])
    assert 7 not in teacher.answers
