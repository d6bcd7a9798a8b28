"""What a model's outputs mean, as far as its task, its numbers and the names of the classes tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pocketfit.contract import Boxes, Classes, Contract, Embedding, Output, Task

__all__ = ["with_output"]

# Sums of a few thousand float32 probabilities stay this near to 1.
SUM_TOLERANCE = 1e-3


def with_output(
    contract: Contract, asked: Output | Task | None, outputs: np.ndarray, classes: Sequence[str], *, labelled: bool
) -> Contract:
    """The contract with what becomes of the outputs.

    Args:
        contract: its own `output` stays where nothing is asked.
        asked: by the user; None for the contract's, or classes where samples are labelled and there is a row of numbers
            for each.
        outputs: of the float model on samples, N×…; they tell logits from probabilities.
        classes: their names by index; given to outputs that name none.
        labelled: whether samples have labels.
    """
    output = _asked(asked, outputs)
    if output is None:
        output = contract.output
    if output is None and labelled and outputs.ndim == 2 and outputs.shape[1] > 1:
        output = _classes(outputs)
    if isinstance(output, Classes | Boxes) and not output.labels:
        output = replace(output, labels=tuple(classes))
    return replace(contract, output=output)


def _asked(asked: Output | Task | None, outputs: np.ndarray) -> Output | None:
    match asked:
        case Task.CLASSES:
            return _classes(outputs)
        case Task.BOXES:
            return Boxes()
        case Task.EMBEDDING:
            return Embedding()
        case _:
            return asked


def _classes(outputs: np.ndarray) -> Classes:
    """With a softmax, unless the model has done it: rows of numbers from 0 that sum up to 1 are probabilities."""
    rows = outputs.reshape(len(outputs), -1)
    probable = bool((rows >= 0).all()) and bool((np.abs(rows.sum(axis=1) - 1) <= SUM_TOLERANCE).all())
    return Classes(softmax=not probable)
