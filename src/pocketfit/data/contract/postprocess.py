"""From a model's outputs to answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pocketfit.contract.outputs import Activation, Boxes, Classes, Embedding
from pocketfit.contract.spec import Contract
from pocketfit.data.contract.geometry import Placement
from pocketfit.data.contract.nms import Candidates, candidates, corners, keep
from pocketfit.errors import DataError

__all__ = ["Answer", "Detection", "Prediction", "postprocess", "softmax"]


@dataclass(frozen=True)
class Prediction:
    """A class, its name if known, and its probability or score."""

    index: int
    label: str
    score: float


@dataclass(frozen=True)
class Detection:
    """A box in pixels (left, top, right, bottom), its class, the class's name if known, and its score."""

    box: tuple[float, float, float, float]
    index: int
    label: str
    score: float


Answer = tuple[Prediction, ...] | tuple[Detection, ...] | np.ndarray


def postprocess(outputs: Sequence[np.ndarray], contract: Contract, where: Placement | None = None) -> Answer:
    """What the model says of one image.

    Args:
        outputs: of the model, with a batch of 1, in the order that `contract.output` names.
        contract: `output` is used.
        where: from `placement`, for boxes: they are told in pixels of the image, and cut at its edge. Without it they
            are told as the model gives them, and `normalised` must not be set.

    Returns:
        The best classes, best first; the kept boxes, best first; the embedding, float32 of one dimension; or the first
        output without its batch where the contract says nothing.

    Raises:
        DataError: the outputs do not have the shapes that the contract means.
    """
    match contract.output:
        case Classes() as classes:
            return _classes(_vector(outputs), classes)
        case Boxes() as boxes:
            return _boxes(outputs, boxes, where)
        case Embedding() as embedding:
            return _embedding(_vector(outputs), embedding)
        case None:
            plain: np.ndarray = _first(outputs)[0]
            return plain


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities along the last axis, in doubles; the largest score is subtracted first.

    `exp` differs in the last bit from one mathematics library to the next: compare within 1e-6.
    """
    shifted = scores.astype(np.float64)
    powers = np.exp(shifted - shifted.max(axis=-1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def _classes(scores: np.ndarray, output: Classes) -> tuple[Prediction, ...]:
    # Ordered by what the model gave: probabilities of close logits may be equal.
    order = np.argsort(-scores.astype(np.float64), kind="stable")[: output.top_k]
    shown = softmax(scores) if output.softmax else scores
    return tuple(Prediction(int(i), _label(output.labels, int(i)), float(shown[i])) for i in order)


def _boxes(outputs: Sequence[np.ndarray], output: Boxes, where: Placement | None) -> tuple[Detection, ...]:
    boxes, scores = _detector(outputs)
    if where is None and output.normalised:
        raise DataError("The boxes are normalised, and there is no placement to scale them with. Hand it over too.")
    size = (1, 1) if where is None else where.size
    found = candidates(corners(boxes, size, output), _activated(scores, output), output)
    told = found.corners if where is None else _in_image(found.corners, where)
    return tuple(_detection(told[i], found, i, output) for i in keep(found, output))


def _detection(box: np.ndarray, found: Candidates, index: int, output: Boxes) -> Detection:
    left, top, right, bottom = (float(value) for value in box)
    best = int(found.classes[index])
    return Detection((left, top, right, bottom), best, _label(output.labels, best), float(found.scores[index]))


def _embedding(vector: np.ndarray, output: Embedding) -> np.ndarray:
    """A vector of zeros stays one."""
    wide = vector.astype(np.float64)
    length = np.sqrt((wide * wide).sum()) if output.normalise else 1.0
    unit: np.ndarray = (wide / length if length > 0 else wide).astype(np.float32)
    return unit


def _activated(scores: np.ndarray, output: Boxes) -> np.ndarray:
    wide = scores.astype(np.float64)
    if output.activation is Activation.SIGMOID:
        # Below -709 `exp` overflows, and the quotient is 0 as it should be.
        with np.errstate(over="ignore"):
            sigmoid: np.ndarray = 1.0 / (1.0 + np.exp(-wide))
        return sigmoid
    return softmax(wide) if output.activation is Activation.SOFTMAX else wide


def _in_image(boxes: np.ndarray, where: Placement) -> np.ndarray:
    """From pixels of the model's input to pixels of the image: minus the offset, times image over resized, clipped."""
    top, left = where.offset
    (height, width), (high, wide) = where.image, where.resized
    moved = (boxes - np.array([left, top, left, top])) * np.array([width, height, width, height])
    scaled = moved / np.array([wide, high, wide, high])
    inside: np.ndarray = np.clip(scaled, 0.0, np.array([width, height, width, height], dtype=np.float64))
    return inside


def _label(labels: tuple[str, ...], index: int) -> str:
    return labels[index] if index < len(labels) else ""


def _first(outputs: Sequence[np.ndarray]) -> np.ndarray:
    if not outputs or outputs[0].ndim < 1 or outputs[0].shape[0] != 1:
        shape = outputs[0].shape if outputs else "missing"
        raise DataError(f"The first output is {shape}; it has to begin with a batch of 1. Hand over one sample.")
    return outputs[0]


def _vector(outputs: Sequence[np.ndarray]) -> np.ndarray:
    vector: np.ndarray = _first(outputs)[0].ravel()
    if not vector.size or not np.isfinite(vector).all():
        raise DataError("The output is empty or holds numbers that are not finite. Check the model and its input.")
    return vector


def _detector(outputs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    shapes = [tuple(output.shape) for output in outputs]
    fitting = len(shapes) >= 2 and all(len(shape) == 3 and shape[0] == 1 for shape in shapes[:2])
    if not fitting or shapes[0][2] != 4 or shapes[0][1] != shapes[1][1] or shapes[1][2] < 1:
        raise DataError(f"The outputs are {shapes}; a detector's are boxes 1xNx4, then scores 1xNxclasses.")
    return outputs[0][0], outputs[1][0]
