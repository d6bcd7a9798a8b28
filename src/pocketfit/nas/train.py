"""Training of all networks of a space at once.

Each step takes the largest network, which learns from the labels, and the smallest and a few random ones, which learn
from what the largest answers: what the extremes can do bounds what lies between them.

Source: Yu et al., "BigNAS: Scaling Up Neural Architecture Search with Big Single-Stage Models", 2020, section 3: the
sandwich rule and in-place distillation.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from pocketfit.compress.training.checkpoint import load_checkpoint, save_checkpoint
from pocketfit.compress.training.loop import Step, content_of
from pocketfit.compress.training.losses import divergence
from pocketfit.compress.training.optimizer import Group, build_optimizer, set_rates
from pocketfit.compress.training.processes import accelerator_for
from pocketfit.compress.training.recipe import LoopRecipe, Schedule
from pocketfit.compress.training.samples import Order, TrainingSet
from pocketfit.errors import DataError
from pocketfit.nas.architecture import Space
from pocketfit.nas.supernet import Supernet
from pocketfit.store import key_of
from pocketfit.types import Samples

__all__ = ["supernet_recipe", "train_supernet", "training_key"]

# Random networks a step, between the largest and the smallest.
BETWEEN = 2


def supernet_recipe(epochs: int) -> LoopRecipe:
    """What suits weights that begin at random."""
    return LoopRecipe(
        epochs=epochs,
        batch=64,
        weight_rate=5e-3,
        schedule=Schedule.ONE_CYCLE,
        warm_up=0.2,
        weight_decay=1e-2,
        clip_norm=5,
        checkpoint_steps=50,
    )


class Sandwich(nn.Module):
    """The loss of a step: of the largest network on the labels, of others against its answers.

    Args:
        supernet: whose weights are shared.
        seed: of the random networks, together with the number of the step.
    """

    def __init__(self, supernet: Supernet, seed: int) -> None:
        super().__init__()
        self.supernet, self.seed = supernet, seed

    def forward(self, images: torch.Tensor, labels: torch.Tensor, step: int) -> torch.Tensor:
        """Sum over the networks, each a mean over the batch."""
        space, generator = self.supernet.space, random.Random(f"{self.seed} {step}")
        answers = self.supernet(images, space.largest())
        loss = nn.functional.cross_entropy(answers, labels, label_smoothing=0.05)
        for other in (space.smallest(), *(space.random(generator) for _ in range(BETWEEN))):
            loss = loss + divergence(self.supernet(images, other), answers.detach(), 1.0)
        return loss


def training_key(space: Space, samples: Samples, recipe: LoopRecipe) -> str:
    """Identity of a training: of everything its result depends on."""
    return key_of({"space": asdict(space), "samples": content_of(samples), "recipe": asdict(recipe)})


def train_supernet(
    space: Space,
    samples: Samples,
    recipe: LoopRecipe,
    *,
    checkpoint: Path | None = None,
    progress: Callable[[Step], None] | None = None,
) -> Supernet:
    """Train the shared weights.

    Args:
        space: which networks share them.
        samples: images with labels.
        recipe: how; its loss and label share mean nothing here.
        checkpoint: file that is written now and then and at the end, and taken up if it is there; None for none.
        progress: told of each step.

    Raises:
        DataError: there are no labels, too few samples for a batch, or a label is none of the classes.
        OutputError: the checkpoint cannot be written.
        RuntimeMissing: `accelerate` is not installed.
        WeightsError: the checkpoint cannot be read, or belongs to another training.
    """
    _check(space, samples)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        supernet = Supernet(space)
    training = _Training(supernet, samples, recipe)
    training.resume_from(checkpoint, training_key(space, samples, recipe))
    with torch.enable_grad():
        training.run(progress or _nobody)
    return supernet.cpu()


class _Training:
    def __init__(self, supernet: Supernet, samples: Samples, recipe: LoopRecipe) -> None:
        self.recipe, self.accelerator = recipe, accelerator_for(recipe)
        self.order = Order(len(samples.inputs), min(recipe.batch, len(samples.inputs)), recipe.epochs, recipe.seed)
        groups = [Group(list(supernet.parameters()), recipe.weight_rate, recipe.weight_decay)]
        self.optimizer = build_optimizer(groups, recipe.optimizer)
        loader = DataLoader(TrainingSet(samples), batch_sampler=self.order, collate_fn=_as_it_is)
        sandwich = Sandwich(supernet, recipe.seed)
        self.sandwich, self.prepared, self.loader = self.accelerator.prepare(sandwich, self.optimizer, loader)
        self.supernet = supernet
        self.checkpoint: Path | None = None
        self.key = ""

    def run(self, progress: Callable[[Step], None]) -> None:
        """Take all steps that are left."""
        if self.order.start == self.order.steps:
            return
        for number, (_, images, labels) in enumerate(self.loader, self.order.start):
            step = self._step(number, images, labels)
            if step.number % self.recipe.checkpoint_steps == 0 or step.number == step.steps:
                self._save(step.number)
            if self.accelerator.is_main_process:
                progress(step)

    def _step(self, number: int, images: torch.Tensor, labels: torch.Tensor) -> Step:
        set_rates(self.optimizer, self.recipe.factor(number, self.order.steps))
        loss = self.sandwich(images, labels, number)
        self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(self.supernet.parameters(), self.recipe.clip_norm)
        self.prepared.step()
        self.prepared.zero_grad()
        return Step(number + 1, self.order.steps, float(loss.detach()), float(norm))

    # checkpoints -------------------------------------------------------------------------------------------------

    def resume_from(self, checkpoint: Path | None, key: str) -> None:
        """Go on from a checkpoint of this training, where there is one, and write others there."""
        self.checkpoint, self.key = checkpoint, key
        state = None if checkpoint is None else load_checkpoint(checkpoint, key)
        if state is not None:
            self.supernet.load_state_dict(state["supernet"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.order.start = state["steps"]

    def _save(self, steps: int) -> None:
        if self.checkpoint is None or not self.accelerator.is_main_process:
            return
        state = {"supernet": self.supernet.state_dict(), "optimizer": self.optimizer.state_dict(), "steps": steps}
        save_checkpoint(self.checkpoint, {"key": self.key, **state})


def _check(space: Space, samples: Samples) -> None:
    if samples.labels is None or len(samples.inputs) < 2:
        raise DataError(
            "weights that begin at random learn from labels. Give data with at least two samples and a class each."
        )
    if samples.labels.max() >= space.classes:
        raise DataError(
            f"a label is {samples.labels.max()}, but the space is for {space.classes} classes. Give --classes."
        )


def _as_it_is(batch: Any) -> Any:
    return batch  # the training set gives whole batches


def _nobody(step: Step) -> None:
    pass
