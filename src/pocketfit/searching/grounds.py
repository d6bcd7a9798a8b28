"""The model at each resolution that is worth a try, stored for the workers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from pocketfit.data.scaled import scaled
from pocketfit.errors import DataError, InputError
from pocketfit.models.store import restore
from pocketfit.pipeline import FitRequest, Prepared, prepare
from pocketfit.search.space import smaller_inputs
from pocketfit.searching.ground import write_ground
from pocketfit.stages import Watcher
from pocketfit.store import Store, key_of

__all__ = ["prepare_grounds"]

Shape = tuple[int, ...]


def prepare_grounds(
    request: FitRequest, watcher: Watcher, store: Store, smaller: bool
) -> tuple[dict[Shape, Path], tuple[str, ...]]:
    """Load the model and its data at every resolution.

    Args:
        request: as the user asked.
        watcher: told of every stage.
        store: keeps the results.
        smaller: whether lower resolutions are tried.

    Returns:
        Folders from `write_ground` by input shape, the model's own first; and which resolutions were left out, and why.

    Raises:
        DataError: the data has no labels.
        InputError: model or data are not usable.
    """
    own = prepare(request, watcher)
    if own.data.evaluation.labels is None:
        raise DataError(
            f"{own.data.source} has no labels, and a search has to tell which of two candidates answers better. "
            "Give labelled data, or leave --strategy search out."
        )
    shape = restore(own.network).input.shape[1:]
    found = {shape: _stored(store, own, own)}
    notes: list[str] = []
    for other in smaller_inputs(shape) if smaller else ():
        for prepared in _prepared(request, own, shape, other, watcher, notes):
            found[other] = _stored(store, prepared, own)
    return found, tuple(notes)


def _prepared(
    request: FitRequest, own: Prepared, shape: Shape, other: Shape, watcher: Watcher, notes: list[str]
) -> Iterator[Prepared]:
    """The model at another resolution; nothing where it cannot be had, with a note where a user may wonder."""
    said = own.data.evaluation.preprocess
    if request.data is None or not Path(request.data).is_dir() or said is None or request.embed_preprocessing:
        return
    contract = scaled(said, shape, other)
    if contract is None:
        return
    try:
        prepared = prepare(replace(request, input_shape=other, preprocess=contract), watcher)
    except InputError as error:
        notes.append(f"{_text(other)} was left out: {str(error).splitlines()[0]}")
        return
    if prepared.floats.shape == own.floats.shape and _same(prepared, own):
        yield prepared
    else:
        notes.append(f"{_text(other)} was left out: the model answers in another form, or other samples were read")


def _same(one: Prepared, other: Prepared) -> bool:
    return np.array_equal(one.data.evaluation.labels, other.data.evaluation.labels)  # type: ignore[arg-type]


def _stored(store: Store, prepared: Prepared, own: Prepared) -> Path:
    parts = (prepared.network.name, prepared.data.calibration.fingerprint, prepared.data.evaluation.fingerprint)
    key = key_of({"ground": parts, "floats": own.network.name})
    return store.get("ground", key, lambda out: write_ground(prepared, own.floats, out))


def _text(shape: Shape) -> str:
    return "x".join(map(str, shape))
