"""Keras applications and the float .tflite files made of them, written and answered by TensorFlow in its own process.

TensorFlow ends a process that holds some of the converters, so all of its files are written by one child, together with
what it answers to the questions that the benchmark asks.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.input_files import tensorflow_writer
from benchmarks.input_files.images import noise, photos
from benchmarks.input_files.subject import File, Subject

__all__ = ["tensorflow_subjects"]

SIDE = 96
COUNT = 3


def tensorflow_subjects() -> Iterator[Subject]:
    """Each network as a SavedModel and as a .tflite file."""
    with tempfile.TemporaryDirectory() as name:
        folder, shape = Path(name), (3, SIDE, SIDE)
        questions = torch.cat([noise(shape, COUNT), photos(shape, COUNT)])
        np.save(folder / "questions.npy", questions.permute(0, 2, 3, 1).numpy())
        for application in tensorflow_writer.APPLICATIONS:
            for source in ("saved_model", "tflite"):
                yield Subject(source, application, partial(_written, folder, application, source, questions))


def _written(folder: Path, application: str, source: str, questions: Tensor, _: Path) -> File:
    """By the first who asks for this application."""
    path = folder / (application if source == "saved_model" else f"{application}.tflite")
    if not path.exists():
        command = [sys.executable, "-P", tensorflow_writer.__file__, application, str(SIDE), str(folder)]
        subprocess.run(command, check=True, capture_output=True)
    answers = torch.from_numpy(np.load(folder / f"{application}.npy"))
    return File(str(path), (3, SIDE, SIDE), partial(_answer, questions, answers))


def _answer(questions: Tensor, answers: Tensor, batch: Tensor) -> Tensor:
    """What TensorFlow answered to these."""
    first = next(index for index in range(len(questions)) if torch.equal(questions[index], batch[0]))
    return answers[first : first + len(batch)]
