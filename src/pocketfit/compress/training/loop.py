"""The training loop: a student learns to answer as a teacher does, and as the labels say where there are any.

What is written here is what a step is; devices, several processes, the dealing out of batches and mixed precision are
`accelerate`'s. A training that was killed goes on from its last checkpoint and ends as if nothing had happened: the
order of the samples and the learning rates depend on the number of the step alone.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from pocketfit.compress.training.checkpoint import load_checkpoint, save_checkpoint
from pocketfit.compress.training.criterion import criterion
from pocketfit.compress.training.ema import MovingAverage
from pocketfit.compress.training.networks import KnownAnswers, Network, Teacher
from pocketfit.compress.training.optimizer import Group, build_optimizer, set_rates
from pocketfit.compress.training.processes import accelerator_for, shared
from pocketfit.compress.training.recipe import LoopRecipe, MixedPrecision
from pocketfit.compress.training.samples import Batch, Order, TrainingSet
from pocketfit.compress.training.transfer import Transfer
from pocketfit.errors import DataError, ModelError, OptionError
from pocketfit.types import LoadedModel, Samples

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["Learn", "Lesson", "Step", "Student", "check_lesson", "check_samples", "content_of", "learn"]


@dataclass(frozen=True)
class Step:
    """What a step found.

    Args:
        number: counted from 1.
        steps: how many there will be.
        loss: before the step, mean over the batch.
        gradient_norm: before clipping.
    """

    number: int
    steps: int
    loss: float
    gradient_norm: float


@dataclass(frozen=True)
class Student:
    """What learns.

    Args:
        model: in canonical form, before it has learnt anything: what it takes and answers.
        network: computes what the model does, and is changed in place.
        groups: those of its parameters that learn.
        has_statistics: whether its buffers follow the samples, as batch norm's do; they are averaged and stored, too.
        layers: paths of the network's submodules whose features are compared with the teacher's, if any are.
    """

    model: LoadedModel
    network: nn.Module
    groups: Sequence[Group]
    has_statistics: bool = False
    layers: Sequence[str] = ()


@dataclass(frozen=True)
class Lesson:
    """All that a training depends on.

    Args:
        student: what learns; its network is changed in place.
        teacher: what it learns from; answers what the student does.
        samples: to learn from; without labels the teacher alone is followed.
        recipe: how.
        key: identity of this training: of everything its result depends on.
        answers: the teacher's to all samples, joined, where they are known; None to compute them as they are needed.
            Features are computed in any case, and answers with them.
        teacher_samples: the same samples in the same order as the teacher takes them; None where it takes what the
            student does.
        transfer: compares features of the student's layers with those of the teacher's, and learns with the student;
            None to compare answers alone.
    """

    student: Student
    teacher: LoadedModel
    samples: Samples
    recipe: LoopRecipe
    key: str
    answers: np.ndarray | None = None
    teacher_samples: Samples | None = None
    transfer: Transfer | None = None


class Learn(Protocol):
    """Where a training takes place: `learn` here, or on a cluster."""

    def __call__(
        self, lesson: Lesson, checkpoint: Path | None = None, progress: Callable[[Step], None] | None = None
    ) -> tuple[Step, ...]:
        """See `learn`."""
        ...


def learn(
    lesson: Lesson, checkpoint: Path | None = None, progress: Callable[[Step], None] | None = None
) -> tuple[Step, ...]:
    """Train the student's parameters, and put their moving average in their place.

    Args:
        lesson: who learns what from whom.
        checkpoint: file that is written every `recipe.checkpoint_steps` steps and at the end, and taken up if it is
            there; None for none.
        progress: told of each step, after its checkpoint; in the main process only.

    Returns:
        Every step.

    Raises:
        DataError: there are no samples, or a label is none of the teacher's classes.
        ModelError: student and teacher answer something else.
        OptionError: the batch cannot be dealt out to the processes, or the training diverges.
        OutputError: the checkpoint cannot be written.
        RuntimeMissing: `accelerate` is not installed.
        WeightsError: the checkpoint cannot be read, or belongs to another training.
    """
    check_lesson(lesson)
    accelerator = accelerator_for(lesson.recipe)
    training = _Training(lesson, _order(len(lesson.samples.inputs), lesson.recipe, accelerator), accelerator)
    training.resume_from(checkpoint, lesson.key)
    with torch.enable_grad(), torch.random.fork_rng(devices=[]):
        training.run(progress or _nobody)
    training.average.apply()
    return tuple(training.log)


def check_lesson(lesson: Lesson) -> None:
    """Refuse what nothing can be learnt from.

    Raises:
        DataError: there are no samples, or a label is none of the teacher's classes.
        ModelError: student and teacher answer something else.
    """
    samples, shown = lesson.samples, lesson.teacher_samples
    check_samples(lesson.teacher, samples)
    _check_answers(lesson.student.model, lesson.teacher)
    if shown is not None and len(shown.inputs) != len(samples.inputs):
        raise DataError(
            f"the teacher is shown {len(shown.inputs)} samples and the student {len(samples.inputs)}. "
            "Give both the same ones, in the same order."
        )


def check_samples(model: LoadedModel, samples: Samples) -> None:
    """Refuse samples that nothing can be learnt from.

    Raises:
        DataError: there are none, or a label is none of the model's classes.
    """
    if not len(samples.inputs):
        raise DataError("there are no samples to train with. Give at least one.")
    labels, shape = samples.labels, model.output.shape
    if labels is not None and len(shape) == 2 and labels.max() >= shape[1]:
        raise DataError(
            f"a label is {labels.max()}, but the model knows {shape[1]} classes: 0 to {shape[1] - 1} are allowed. "
            "Correct the labels, or train without them."
        )


def _check_answers(student: LoadedModel, teacher: LoadedModel) -> None:
    given, wanted = ([spec.shape for spec in model.outputs] for model in (student, teacher))
    if given != wanted:
        raise ModelError(
            f"{student.name} answers {_shapes(given)} and its teacher {teacher.name} {_shapes(wanted)}: they cannot be "
            "compared. Give the student as many outputs, and classes, as the teacher has."
        )


def _shapes(shapes: Sequence[tuple[int, ...]]) -> str:
    return " and ".join("x".join(map(str, shape)) for shape in shapes)


def content_of(samples: Samples) -> str:
    """What the samples are known by."""
    return samples.fingerprint or hashlib.sha256(samples.inputs.tobytes()).hexdigest()


def _teacher(lesson: Lesson, device: torch.device) -> Teacher | KnownAnswers:
    if lesson.answers is not None and lesson.transfer is None:
        return KnownAnswers(lesson.answers, device)
    layers = () if lesson.transfer is None else [pair.teacher.name for pair in lesson.transfer.pairs]
    return Teacher(lesson.teacher, device, lesson.teacher_samples, layers)


class _Training:
    def __init__(self, lesson: Lesson, order: Order, accelerator: Accelerator) -> None:
        student, samples, recipe, transfer = lesson.student, lesson.samples, lesson.recipe, lesson.transfer
        self.order = order
        self.recipe = recipe
        self.accelerator = accelerator
        self.teacher = _teacher(lesson, accelerator.device)
        self.criterion = criterion(student.model, lesson.teacher, recipe, labelled=samples.labels is not None)
        # Convolutions that match channels learn at the rate of the weights.
        matching = Group(() if transfer is None else list(transfer.parameters()), recipe.weight_rate)
        self.optimizer = build_optimizer([*student.groups, matching], recipe.optimizer)
        network = Network(student.network, student.model, student.layers)
        loader = DataLoader(TrainingSet(samples), batch_sampler=order, collate_fn=_as_it_is)
        self.network, self.prepared, self.loader = accelerator.prepare(network, self.optimizer, loader)
        self.parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        statistics = network.buffers() if student.has_statistics else ()
        self.state = [*self.parameters, *(one for one in statistics if one.is_floating_point())]
        self.average = MovingAverage(self.state, recipe.ema)
        self.transfer = accelerator.prepare(transfer) if matching.parameters else transfer
        self.learning = [self.network, *([self.transfer] if matching.parameters else ())]
        self.log: list[Step] = []
        self.checkpoint: Path | None = None
        self.key = ""

    def run(self, progress: Callable[[Step], None]) -> None:
        """Take all steps that are left."""
        if self.order.start == self.order.steps:
            return
        for number, batch in enumerate(self.loader, self.order.start):
            step = self._step(number, batch)
            self.log.append(step)
            if self.recipe.stores(step.number, step.steps):
                self._save()
            if self.accelerator.is_main_process:
                progress(step)

    def _step(self, number: int, batch: Batch) -> Step:
        set_rates(self.optimizer, self.recipe.factor(number, self.order.steps))
        growth = self.recipe.growth(number, self.order.steps_per_epoch)
        # What a network draws at random, such as dropout, depends on the number of the step alone, too.
        torch.manual_seed(self.recipe.seed * self.order.steps + number)
        losses, norm = [], torch.zeros(())
        for part in _parts(batch, self.recipe.accumulate):
            with self.accelerator.accumulate(*self.learning):
                loss = self._loss(*part, growth)
                self.accelerator.backward(loss)
                if self.accelerator.sync_gradients:
                    norm = self.accelerator.clip_grad_norm_(self.parameters, self.recipe.clip_norm)
                self.prepared.step()
                self.prepared.zero_grad()
            losses.append(loss.detach())
        self.average.update(number)
        mean: torch.Tensor = self.accelerator.reduce(torch.stack(losses).mean(), "mean")
        step = Step(number + 1, self.order.steps, float(mean), float(norm))
        self._check_finite(step)
        return step

    def _loss(self, positions: torch.Tensor, inputs: torch.Tensor, labels: torch.Tensor, growth: float) -> torch.Tensor:
        answers, features = self.network(inputs)
        told, shown = self.teacher(positions, inputs)
        loss = self.criterion(answers, told, labels, growth)
        return loss if self.transfer is None else loss + growth * self.transfer(features, shown)

    def _check_finite(self, step: Step) -> None:
        # Half precision overflows now and then; its loss scaling leaves such a step out.
        if self.recipe.mixed_precision is MixedPrecision.FLOAT16:
            return
        if not (math.isfinite(step.loss) and math.isfinite(step.gradient_norm)):
            raise OptionError(
                f"the training diverged at step {step.number} of {step.steps}: its loss is {step.loss}. "
                "Train with lower learning rates, or with a smaller clip_norm."
            )

    # checkpoints -------------------------------------------------------------------------------------------------

    def resume_from(self, checkpoint: Path | None, key: str) -> None:
        """Go on from a checkpoint of this training, where there is one, and write others there."""
        self.checkpoint, self.key = checkpoint, key
        if checkpoint is None:
            return
        state = shared(self.accelerator, lambda: load_checkpoint(checkpoint, key))
        if state is None:
            return
        for tensor, average, *stored in zip(
            self.state, self.average.values, state["state"], state["average"], strict=True
        ):
            tensor.data.copy_(stored[0])
            average.copy_(stored[1])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.log = [Step(number, self.order.steps, *found) for number, found in enumerate(state["log"], 1)]
        self.order.start = len(self.log)

    def _save(self) -> None:
        if self.checkpoint is None or not self.accelerator.is_main_process:
            return
        scaler = self.accelerator.scaler
        state = {
            "key": self.key,
            "state": [tensor.detach() for tensor in self.state],
            "average": self.average.values,
            "optimizer": self.optimizer.state_dict(),
            "scaler": {} if scaler is None else scaler.state_dict(),
            "log": [[step.loss, step.gradient_norm] for step in self.log],
        }
        save_checkpoint(self.checkpoint, state)


def _order(count: int, recipe: LoopRecipe, accelerator: Accelerator) -> Order:
    """The order of so many samples, dealt out evenly to all processes."""
    batch, processes = min(recipe.batch, count), accelerator.num_processes
    if batch % processes:
        raise OptionError(
            f"{batch} samples a step cannot be dealt out evenly to {processes} processes. Choose a batch that is a "
            f"multiple of {processes} and not more than the {count} samples."
        )
    if batch // processes < recipe.accumulate:
        raise OptionError(
            f"{batch // processes} samples a step cannot be computed in {recipe.accumulate} parts. "
            "Accumulate fewer parts, or choose a larger batch."
        )
    return Order(count, batch, recipe.epochs, recipe.seed)


def _parts(batch: Batch, number: int) -> Iterator[Batch]:
    yield from zip(*(torch.tensor_split(one, number) for one in batch), strict=True)


def _as_it_is(batch: Any) -> Any:
    return batch  # the training set gives whole batches


def _nobody(step: Step) -> None:
    pass
