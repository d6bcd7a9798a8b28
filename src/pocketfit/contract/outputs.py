"""What the outputs of a model mean: the second half of the contract."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from pocketfit.contract.checks import one_of
from pocketfit.errors import OptionError

__all__ = ["Activation", "BoxFormat", "Boxes", "Classes", "Embedding", "Output", "Task"]


class Task(StrEnum):
    """What a model is for, as far as it decides what its outputs mean."""

    CLASSES = "classes"
    BOXES = "boxes"
    EMBEDDING = "embedding"


class BoxFormat(StrEnum):
    """Left, top, right, bottom; or the centre's x and y, width, height."""

    XYXY = "xyxy"
    CXCYWH = "cxcywh"


class Activation(StrEnum):
    """What turns the model's scores into probabilities; none where the model has done it."""

    NONE = "none"
    SIGMOID = "sigmoid"
    SOFTMAX = "softmax"


@dataclass(frozen=True)
class Classes:
    """The output is one number per class.

    Args:
        softmax: whether the numbers are logits, which become probabilities.
        top_k: how many of the best classes are told.
        labels: class names by index; empty when unknown.
        kind: how JSON tells this from the other outputs.
    """

    softmax: bool = True
    top_k: int = 5
    labels: tuple[str, ...] = ()
    kind: Literal["classes"] = "classes"

    def __post_init__(self) -> None:
        _check_count("output.top_k", self.top_k)


@dataclass(frozen=True)
class Boxes:
    """The outputs are boxes N×4 and scores N×classes, of which the best that do not overlap are kept.

    Args:
        format: of the four numbers.
        normalised: whether they are shares of the model's input, 0..1, rather than its pixels.
        activation: of the scores.
        score_threshold: a box's best class must have at least this score.
        iou_threshold: a box goes when it overlaps a better one by more than this share of their union.
        class_wise: whether only boxes of the same class compete.
        max_boxes: at most that many are kept.
        labels: class names by index; empty when unknown.
        kind: how JSON tells this from the other outputs.
    """

    format: BoxFormat = BoxFormat.XYXY
    normalised: bool = True
    activation: Activation = Activation.NONE
    score_threshold: float = 0.25
    iou_threshold: float = 0.45
    class_wise: bool = True
    max_boxes: int = 100
    labels: tuple[str, ...] = ()
    kind: Literal["boxes"] = "boxes"

    def __post_init__(self) -> None:
        one_of("output.format", self.format, BoxFormat)
        one_of("output.activation", self.activation, Activation)
        _check_count("output.max_boxes", self.max_boxes)
        if not math.isfinite(self.score_threshold):
            raise OptionError(f"output.score_threshold is {self.score_threshold}; it has to be a finite number.")
        if not 0 <= self.iou_threshold <= 1:
            raise OptionError(f"output.iou_threshold is {self.iou_threshold}; allowed are 0 to 1.")


@dataclass(frozen=True)
class Embedding:
    """The output is a vector that is compared with others.

    Args:
        normalise: whether it is divided by its Euclidean length.
        kind: how JSON tells this from the other outputs.
    """

    normalise: bool = True
    kind: Literal["embedding"] = "embedding"


Output = Annotated[Classes | Boxes | Embedding, Field(discriminator="kind")]


def _check_count(name: str, count: int) -> None:
    if count < 1:
        raise OptionError(f"{name} is {count}; it has to be at least 1.")
