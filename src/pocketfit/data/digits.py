"""The handwritten digits that come with scikit-learn: 1,797 images of 8×8 pixels, ten classes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pocketfit.data.arrays import from_floats
from pocketfit.data.dataset import Dataset, Request
from pocketfit.data.split import Split, check_counts, shuffled

__all__ = ["Digits", "from_digits", "read_digits"]

INPUT_SHAPE = (1, 8, 8)
# Two thirds train, one third is held out: enough of either for a small network and a meaningful accuracy.
HELD_OUT_EVERY = 3


@dataclass(frozen=True)
class Digits:
    """The digits, split once and for all.

    Args:
        inputs: float32 N×1×8×8 in 0..1.
        labels: int64 of length N, 0..9.
        training: positions that a model may be trained on and calibrated with.
        held_out: positions that only the evaluation sees.
    """

    inputs: np.ndarray
    labels: np.ndarray
    training: tuple[int, ...]
    held_out: tuple[int, ...]


def read_digits() -> Digits:
    """The digits with their fixed split."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = shuffled([str(position).encode() for position in range(len(digits.images))])
    return Digits(
        inputs=(digits.images[:, None] / 16).astype(np.float32),
        labels=digits.target.astype(np.int64),
        training=tuple(position for rank, position in enumerate(order) if rank % HELD_OUT_EVERY),
        held_out=tuple(order[::HELD_OUT_EVERY]),
    )


def from_digits(request: Request) -> Dataset:
    """Calibrate with training samples and evaluate on held-out ones.

    Raises:
        DataError: the model does not take 1x8x8.
    """
    check_counts(request.calibration, request.evaluation)
    digits = read_digits()
    chosen = Split(digits.training[: request.calibration], digits.held_out[: request.evaluation])
    labels = request.checked(digits.labels, "digits", None)
    dataset = from_floats(digits.inputs, labels, chosen, request)
    classes = tuple(str(digit) for digit in range(10))
    return replace(
        dataset,
        calibration=replace(dataset.calibration, classes=classes),
        evaluation=replace(dataset.evaluation, classes=classes),
    )
