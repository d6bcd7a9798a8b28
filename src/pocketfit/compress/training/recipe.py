"""How parameters are trained, whatever they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from pocketfit.errors import OptionError

__all__ = ["LoopRecipe", "Loss", "MixedPrecision", "Optimizer", "Schedule"]


class Loss(StrEnum):
    """How far the outputs are from the teacher's.

    SOFT compares them as logits of a distribution over classes; DKD weighs its parts, DIST asks for correlation alone;
    SQUARED_ERROR compares number by number, relative to the teacher's mean square. AUTOMATIC takes SOFT for outputs
    N × classes, SQUARED_ERROR for any other shape.
    """

    AUTOMATIC = "automatic"
    SOFT = "soft"
    DKD = "dkd"
    DIST = "dist"
    SQUARED_ERROR = "squared-error"

    @property
    def of_classes(self) -> bool:
        """Whether it takes outputs N × classes alone."""
        return self in (Loss.DKD, Loss.DIST)


class Optimizer(StrEnum):
    """AdamW, or SGD with momentum."""

    ADAMW = "adamw"
    SGD = "sgd"


class Schedule(StrEnum):
    """Of the learning rates, after the warm-up: down along a cosine, or (one-cycle) up and down along cosines."""

    CONSTANT = "constant"
    COSINE = "cosine"
    ONE_CYCLE = "one-cycle"


class MixedPrecision(StrEnum):
    """In what precision layers are computed while training; the rest is float32. Worth its rounding on a GPU only."""

    NO = "no"
    BFLOAT16 = "bf16"
    FLOAT16 = "fp16"


@dataclass(frozen=True)
class LoopRecipe:
    """What all trainings have in common.

    Args:
        epochs: passes over the samples, at least 1.
        batch: samples a step, over all processes together; a remainder smaller than that waits for the next epoch.
        accumulate: parts that a step is computed in, one after the other, where its whole batch needs too much memory.
        optimizer: which.
        weight_rate: peak learning rate of the weights.
        bias_rate: peak learning rate of the biases.
        schedule: how the rates go over the steps.
        warm_up: share of the steps, 0..1, over which the rates rise.
        weight_decay: of the weights alone.
        clip_norm: largest norm of all gradients together.
        ema: how much the moving average of the parameters, which is what comes out, keeps at each step, 0..1; fewer
            in the first steps. 0 for none.
        loss: against the teacher's outputs.
        temperature: softens both distributions, at least 1.
        teacher_warm_up: epochs over which what the teacher says comes to its full weight, linearly; 0 for at once. The
            weights of DKD are large for a network that knows nothing yet.
        label_share: of the loss on labels, 0..1, where the samples have any.
        mixed_precision: of the layers.
        cpu: whether to train on the CPU even where there is a GPU.
        seed: of the order of the samples.
        checkpoint_steps: steps between two checkpoints.

    Raises:
        OptionError: a number is out of its range.
    """

    epochs: int = 4
    batch: int = 10
    accumulate: int = 1
    optimizer: Optimizer = Optimizer.ADAMW
    weight_rate: float = 1e-5
    bias_rate: float = 1e-4
    schedule: Schedule = Schedule.COSINE
    warm_up: float = 0.1
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    ema: float = 0.99
    loss: Loss = Loss.AUTOMATIC
    temperature: float = 1.0
    teacher_warm_up: float = 0.0
    label_share: float = 0.3
    mixed_precision: MixedPrecision = MixedPrecision.NO
    cpu: bool = False
    seed: int = 0
    checkpoint_steps: int = 100

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "accumulate", "checkpoint_steps", "temperature"):
            self._check(name, 1, math.inf)
        for name in ("warm_up", "label_share", "ema"):
            self._check(name, 0, 1)
        for name in ("weight_rate", "bias_rate", "weight_decay", "clip_norm", "teacher_warm_up"):
            self._check(name, 0, math.inf)

    def factor(self, step: int, steps: int) -> float:
        """What the peak learning rates are multiplied with at a step 0..steps - 1."""
        rise = self.warm_up * steps
        if step < rise:
            share = (step + 1) / (math.ceil(rise) + 1)
            return (1 - math.cos(math.pi * share)) / 2 if self.schedule is Schedule.ONE_CYCLE else share
        if self.schedule is Schedule.CONSTANT:
            return 1.0
        return (1 + math.cos(math.pi * (step - rise) / max(steps - rise, 1))) / 2

    def growth(self, step: int, steps_per_epoch: int) -> float:
        """What the teacher's part of the loss is multiplied with at a step from 0 on.

        Source: Zhao et al., "Decoupled Knowledge Distillation", 2022, appendix A.1: a linear warm-up over 20 epochs.
        """
        return min(1.0, (step + 1) / max(self.teacher_warm_up * steps_per_epoch, 1))

    def stores(self, step: int, steps: int) -> bool:
        """Whether a checkpoint is written after a step, counted from 1."""
        return step % self.checkpoint_steps == 0 or step == steps

    def _check(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if not low <= value <= high:
            allowed = f"{low} or more" if high == math.inf else f"{low} to {high}"
            raise OptionError(f"training with {name} = {value} is not possible: {allowed} is allowed.")
