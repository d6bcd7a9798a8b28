"""A model file in the making."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["File", "Subject"]


@dataclass(frozen=True)
class File:
    """A model file and what it has to answer.

    Args:
        spec: as a user hands it over.
        shape: of its input, without the batch and channels first.
        answer: what the original answers for a batch, channels first as well.
        known: inputs with the answers that were published with the file.
    """

    spec: str
    shape: tuple[int, ...]
    answer: Callable[[Tensor], Tensor]
    known: tuple[tuple[Tensor, Tensor], ...] = field(default=())


@dataclass(frozen=True)
class Subject:
    """A row of the benchmark.

    Args:
        source: "onnx", "keras", "torchscript", "saved_model" or "tflite".
        model: its name, and who wrote the file where several could have.
        write: makes the file in an empty folder.
    """

    source: str
    model: str
    write: Callable[[Path], File]
