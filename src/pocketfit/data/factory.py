"""Samples from a dataset of the user's own code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pocketfit.data.arrays import from_floats, from_images
from pocketfit.data.dataset import Dataset, Request, named
from pocketfit.data.split import Split, split
from pocketfit.errors import DataError
from pocketfit.importing import call, resolve

__all__ = ["from_factory"]


def from_factory(request: Request, outputs: int | None) -> Dataset:
    """Call `package.module:factory` or `file.py:factory` and read the samples that the split chooses.

    The factory returns a map-style dataset: `len()` and `[index]`, each item a sample or a pair of sample and
    target: the index of its class, or an array where the metric compares with one.
    A sample is a float tensor of the model's input shape, or a uint8 height × width × 3 array, or a PIL image; for a
    model with several inputs, a tuple of float tensors, one for each, in the order of its `forward`.

    Args:
        request: what was asked.
        outputs: number of the model's classes; None when unknown.

    Raises:
        DataError: the code fails, or its items are something else.
    """
    dataset = _dataset(request.spec)
    # The content would tell samples apart better, but reading all of a large dataset to choose some takes too long.
    keys = [str(position).encode() for position in range(len(dataset))]
    chosen = split(keys, request.calibration, request.evaluation, request.spec)
    samples, labels = _read(dataset, (*chosen.calibration, *chosen.evaluation), request)
    checked = None if labels is None else request.checked(labels, request.spec, outputs)
    count = len(chosen.calibration)
    positions = Split(tuple(range(count)), tuple(range(count, len(samples))), chosen.notes)
    if np.issubdtype(samples[0].dtype, np.floating):
        return from_floats(_stacked(samples, request.spec), checked, positions, request)
    return from_images(samples, checked, positions, request)


def _dataset(spec: str) -> Any:
    dataset = call(spec, resolve(spec, DataError), DataError)
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise DataError(
            f"{spec} returned a {type(dataset).__name__}. Allowed: a map-style dataset with len() and [index], "
            "such as a torch.utils.data.Dataset or a list."
        )
    return dataset


def _read(dataset: Any, positions: tuple[int, ...], request: Request) -> tuple[list[np.ndarray], np.ndarray | None]:
    samples, labels = [], []
    for done, position in enumerate(positions, start=1):
        sample, label = _item(dataset, position, request)
        samples.append(sample)
        labels.append(label)
        request.report(done, len(positions))
    if all(label is None for label in labels):
        return samples, None
    if any(label is None for label in labels):
        raise DataError(f"Some items of {request.spec} have a label and some have none. Give all of them one, or none.")
    return samples, _targets(labels, request.spec)


def _targets(labels: Sequence[object], spec: str) -> np.ndarray:
    arrays = [np.asarray(label) for label in labels]
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise DataError(
            f"The targets of {spec} have different shapes, such as {sorted(shapes)[:2]}; give them one shape, and pad "
            "what is shorter."
        )
    return np.stack(arrays)


def _item(dataset: Any, position: int, request: Request) -> tuple[np.ndarray, object]:
    spec = request.spec
    try:
        item = dataset[position]
    # It is the user's code, which may raise anything.
    except Exception as error:
        raise DataError(f"Item {position} of {spec} cannot be read: {type(error).__name__}: {error}") from error
    if request.several:
        return _several(item, position, request)
    if isinstance(item, tuple | list) and len(item) == 2:
        return _sample(item[0], position, spec), item[1]
    return _sample(item, position, spec), None


def _several(item: Any, position: int, request: Request) -> tuple[np.ndarray, object]:
    """One row of all inputs, and the target where the item is a pair of a tuple of inputs and it."""
    labelled = len(item) == 2 and isinstance(item[0], tuple | list) if isinstance(item, tuple | list) else False
    inputs, label = item if labelled else (item, None)
    if not isinstance(inputs, tuple | list) or len(inputs) != len(request.inputs):
        raise DataError(
            f"Item {position} of {request.spec} is a {type(inputs).__name__}; the model has {len(request.inputs)} "
            f"inputs: {named(request.inputs)}. Give a tuple with a float tensor for each, or that and the target."
        )
    arrays = [_sample(value, position, request.spec)[None] for value in inputs]
    return request.rows(arrays)[0], label


def _sample(value: Any, position: int, spec: str) -> np.ndarray:
    array = np.asarray(value.convert("RGB") if hasattr(value, "convert") else value)
    if array.dtype == np.uint8 or np.issubdtype(array.dtype, np.floating):
        return array
    raise DataError(
        f"Item {position} of {spec} is a {type(value).__name__} of {array.dtype}. Allowed: a float32 tensor of the "
        "model's input shape, a uint8 array height x width x 3, or either with its label as a pair."
    )


def _stacked(samples: list[np.ndarray], spec: str) -> np.ndarray:
    shapes = {sample.shape for sample in samples}
    if len(shapes) > 1:
        raise DataError(
            f"The items of {spec} have different shapes, such as {sorted(shapes)[:2]}; give them one shape."
        )
    return np.stack(samples)
