"""What the data has to be like for the model."""

from __future__ import annotations

import numpy as np

from pocketfit.contract import Contract, Dtype, Layout
from pocketfit.errors import DataError

__all__ = ["check_finite", "check_images", "check_inputs", "check_labels"]


def check_finite(inputs: np.ndarray, spec: str) -> None:
    """Refuse NaN and infinity in float inputs.

    Raises:
        DataError: saying how many samples and which is the first.
    """
    bad = np.flatnonzero(~np.isfinite(inputs).reshape(len(inputs), -1).all(axis=1))
    if len(bad):
        raise DataError(f"{spec} holds NaN or infinity in {len(bad)} samples, the first is number {bad[0]}. Mend them.")


def check_inputs(shape: tuple[int, ...], input_shape: tuple[int, ...], spec: str) -> None:
    """Refuse float inputs of another shape than the model's.

    Raises:
        DataError: quoting both, with what may have gone wrong.
    """
    if shape == input_shape:
        return
    hint = "Preprocess it as for training, or give --input."
    if len(shape) == 3 and (shape[2], shape[0], shape[1]) == input_shape:
        hint = "Its channels come last: transpose it to channels, height, width."
    elif (1, *shape) == input_shape:
        hint = "The channel is missing: add an axis of size 1 after the batch."
    raise DataError(f"{spec} holds float samples of {_shape(shape)}, the model takes {_shape(input_shape)}. {hint}")


def check_images(size: tuple[int, int], preprocess: Contract, input_shape: tuple[int, ...], spec: str) -> None:
    """Refuse a preprocessing that does not yield what the model takes.

    Args:
        size: height and width after the geometry.
        preprocess: decides the number of channels.
        input_shape: of the model.
        spec: what the user wrote, for the message.

    Raises:
        DataError: quoting both shapes; or its numbers are no float32.
    """
    channels = preprocess.channels
    got = (channels, *size) if preprocess.layout is Layout.NCHW else (*size, channels)
    if got != input_shape:
        raise DataError(
            f"The images of {spec} become {_shape(got)}, the model takes {_shape(input_shape)}. "
            "Give --crop height x width of the model's input, and --color gray or rgb to match its channels."
        )
    if preprocess.dtype is not Dtype.FLOAT32:
        raise DataError(
            f"The preprocessing ends in {preprocess.dtype}; models are fitted with float32 inputs, and integers come "
            "with the artifacts that need them. Give it the dtype float32 and no quantization."
        )


def check_labels(labels: np.ndarray, spec: str, outputs: int | None) -> np.ndarray:
    """Labels as int64.

    Args:
        labels: class indices of length N.
        spec: what the user wrote, for the message.
        outputs: number of classes that the model answers; None when unknown.

    Raises:
        DataError: they are not whole numbers, negative, beyond the model's classes, or all the same.
    """
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"The labels of {spec} are {labels.dtype} of shape {labels.shape}; give one whole number a sample, "
            "the index of its class, or name another --metric."
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or (outputs is not None and high >= outputs):
        allowed = "0 or more" if outputs is None else f"0 to {outputs - 1}, as the model has {outputs} outputs"
        raise DataError(f"The labels of {spec} go from {low} to {high}; allowed is {allowed}.")
    if low == high:
        raise DataError(f"All samples of {spec} are of class {low}; an accuracy needs at least two classes.")
    return labels.astype(np.int64)


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(str(size) for size in shape) or "nothing"
