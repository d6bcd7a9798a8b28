"""The state of a training in one file that a kill cannot harm, and that is read without running code."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import torch

from pocketfit.errors import OutputError, WeightsError

__all__ = ["load_checkpoint", "save_checkpoint", "write_checkpoint"]

# Tensors, numbers, texts, and lists and dicts of them.
State = dict[str, Any]


def save_checkpoint(path: Path, state: State) -> None:
    """Write the state of a training.

    Args:
        path: as for `write_checkpoint`.
        state: tensors, numbers and texts in lists and dicts.

    Raises:
        OutputError: the file cannot be written.
    """
    write_checkpoint(path, lambda file: torch.save(state, file))


def write_checkpoint(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file beside its place and rename it: a kill leaves the old file or the new one.

    Args:
        path: its folder is made where it is missing.
        write: puts the content into an open file.

    Raises:
        OutputError: the file cannot be written.
    """
    unfinished = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=f".{path.name}-", dir=path.parent, delete=False) as file:
            unfinished = Path(file.name)
            write(file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    # torch says of a full disk only that its writer failed.
    except (OSError, RuntimeError) as error:
        raise OutputError(
            f"the checkpoint {path} cannot be written: {error}. Free some space, correct the permissions, or name "
            "another file; what it held before is still there."
        ) from error
    finally:
        if unfinished is not None:
            unfinished.unlink(missing_ok=True)


def load_checkpoint(path: Path, key: str) -> State | None:
    """The state of this training, or None where there is no such file.

    Args:
        path: from `save_checkpoint`.
        key: identity of the training, which the state has as `key`.

    Raises:
        WeightsError: the file cannot be read, or belongs to another training.
    """
    if not path.exists():
        return None
    try:
        state: State = torch.load(path, map_location="cpu", weights_only=True)
        found = state["key"]
    except Exception as error:  # whatever a file that is none of ours makes torch raise
        raise WeightsError(
            f"{path} is not a checkpoint of a training: {type(error).__name__}. Delete it to start from the "
            "beginning, or name another file."
        ) from error
    if found != key:
        raise WeightsError(
            f"{path} belongs to another training: its model, plan, samples or recipe were different. Delete it to "
            "start from the beginning, or name another file."
        )
    return state
