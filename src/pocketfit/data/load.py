"""From what the user wrote to calibration and evaluation samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pocketfit.contract import Contract
from pocketfit.data.dataset import Check, Dataset, Progress, Request, named
from pocketfit.data.digits import from_digits
from pocketfit.data.factory import from_factory
from pocketfit.data.image_folder import from_image_folder
from pocketfit.data.npz import from_npz
from pocketfit.errors import DataError
from pocketfit.importing import is_reference
from pocketfit.types import LoadedModel, TensorSpec

__all__ = ["load_data", "load_for"]


def load_data(
    spec: str,
    *,
    preprocess: Contract | None,
    input_shape: tuple[int, ...],
    cache: Path,
    calibration: int = 100,
    evaluation: int | None = None,
    outputs: int | None = None,
    inputs: Sequence[TensorSpec] = (),
    progress: Progress | None = None,
    check: Check | None = None,
) -> Dataset:
    """Load samples and split them, the same way every time, into calibration and held-out evaluation.

    Args:
        spec: an image folder, an `.npz` file, `package.module:factory`, `file.py:factory`, or `digits`.
        preprocess: what images go through; None for a default that the notes then name.
        input_shape: of a sample of the model, without the batch: its `row_shape`.
        cache: folder for decoded images; made where it is missing.
        calibration: number of samples to calibrate with; they never carry labels.
        evaluation: largest number of held-out samples; None for all.
        outputs: number of classes that the model answers, to check the labels against; None when unknown.
        inputs: of the model, where it has several.
        progress: called with (done, total) while samples are read.
        check: of what stands beside the samples; None where it has to be classes.

    Raises:
        DataError: the data is missing, unreadable, or not what the model needs.
        OptionError: a number of samples below 1.
        OutputError: the cache cannot be written.
    """
    request = Request(spec, input_shape, preprocess, calibration, evaluation, cache, progress, check, tuple(inputs))
    path = Path(spec)
    if request.several and (spec == "digits" or (spec and path.is_dir())):
        raise DataError(
            f"{spec} holds images, which fill one input; the model has {len(inputs)}: {named(inputs)}. Give an .npz "
            "file with an array for each, or package.module:factory."
        )
    if spec and path.is_dir():
        return from_image_folder(path, request, outputs)
    if spec == "digits":
        return from_digits(request)
    if path.suffix == ".npz":
        return from_npz(path, request, outputs)
    if is_reference(spec):
        return from_factory(request, outputs)
    raise DataError(
        f"{spec!r} is no data that Pocketfit can load, seen from {Path.cwd()}. "
        "Give an image folder, an .npz file with x and y, package.module:factory, file.py:factory, or digits."
    )


def load_for(
    model: LoadedModel,
    spec: str,
    *,
    preprocess: Contract | None,
    cache: Path,
    calibration: int,
    evaluation: int | None = None,
    progress: Progress | None = None,
    check: Check | None = None,
) -> Dataset:
    """Load samples as a model takes them; what is not said of the model, and errors, are `load_data`'s."""
    return load_data(
        spec,
        preprocess=preprocess,
        input_shape=model.row_shape,
        inputs=model.inputs,
        cache=cache,
        calibration=calibration,
        evaluation=evaluation,
        outputs=model.output.shape[-1] if len(model.output.shape) == 2 else None,
        progress=progress,
        check=check,
    )
