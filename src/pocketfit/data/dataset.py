"""What this room hands over, and what its sources are asked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pocketfit.contract import Contract, contract_to_json
from pocketfit.data.checks import check_inputs, check_labels
from pocketfit.errors import DataError
from pocketfit.rows import together
from pocketfit.types import Samples, TensorSpec

__all__ = ["Check", "Dataset", "Progress", "Request", "array_digest", "fingerprint", "named"]

Progress = Callable[[int, int], None]
# From targets with the samples first, and what the user wrote, to targets that can be used; DataError for others.
Check = Callable[[np.ndarray, str], np.ndarray]


@dataclass(frozen=True)
class Dataset:
    """Two sets of samples that share none.

    Args:
        calibration: never has labels.
        evaluation: held out.
        source: what the user wrote.
        notes: decisions a reader should know, in plain sentences.
    """

    calibration: Samples
    evaluation: Samples
    source: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """What is asked of a source.

    Args:
        spec: what the user wrote.
        input_shape: of a sample of the model, without the batch: its `row_shape`.
        preprocess: None when neither the user nor the model says.
        calibration: number of calibration samples wanted.
        evaluation: largest number of held-out samples; None for all.
        cache: folder for decoded images.
        progress: called with (done, total) while samples are read; None for silence.
        check: of what stands beside the samples; None where it has to be classes.
        inputs: of the model, where it has several.
    """

    spec: str
    input_shape: tuple[int, ...]
    preprocess: Contract | None
    calibration: int
    evaluation: int | None
    cache: Path
    progress: Progress | None = None
    check: Check | None = None
    inputs: tuple[TensorSpec, ...] = ()

    @property
    def several(self) -> bool:
        """Whether a sample is made of several inputs."""
        return len(self.inputs) > 1

    def rows(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """Several inputs as one row a sample.

        Args:
            arrays: the model's inputs in order, each with the samples first.

        Raises:
            DataError: one is not of its input's shape, or they are not of the same number.
        """
        for array, given in zip(arrays, self.inputs, strict=True):
            check_inputs(array.shape[1:], given.shape[1:], f"{given.name} in {self.spec}")
        if len({len(array) for array in arrays}) > 1:
            counts = ", ".join(f"{given.name} {len(array)}" for array, given in zip(arrays, self.inputs, strict=True))
            raise DataError(
                f"The inputs in {self.spec} have different numbers of samples: {counts}. Give each as many."
            )
        return together([array.astype(np.float32, copy=False) for array in arrays])

    def checked(self, targets: np.ndarray, spec: str, outputs: int | None) -> np.ndarray:
        """Targets that the metric can use.

        Args:
            targets: samples first.
            spec: what the user wrote for them.
            outputs: number of classes that the model answers; None when unknown.

        Raises:
            DataError: the metric cannot use them.
        """
        return check_labels(targets, spec, outputs) if self.check is None else self.check(targets, spec)

    def report(self, done: int, total: int) -> None:
        """Tell whoever is watching."""
        if self.progress is not None:
            self.progress(done, total)


def named(inputs: Sequence[TensorSpec]) -> str:
    """Several inputs for a message, such as "image 3x32x32, state 10"."""
    return ", ".join(f"{given.name} {'x'.join(map(str, given.shape[1:]))}" for given in inputs)


def fingerprint(content: str, labels: np.ndarray | None, preprocess: Contract | None) -> str:
    """Sha256, in hexadecimal, over samples, labels and preprocessing.

    Args:
        content: digest of the inputs.
        labels: of any type and shape, or None.
        preprocess: or None.
    """
    digest = hashlib.sha256(content.encode())
    digest.update(b"" if labels is None else array_digest(labels).encode())
    # What becomes of the outputs changes no input.
    digest.update(b"" if preprocess is None else contract_to_json(replace(preprocess, output=None)).encode())
    return digest.hexdigest()


def array_digest(array: np.ndarray) -> str:
    """Sha256, in hexadecimal, over type, shape and bytes of an array."""
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
