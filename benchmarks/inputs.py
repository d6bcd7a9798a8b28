"""Do model files of every kind become models that answer as the originals do?

    file ─find_source→ torch module ─→ its answers, beside those of ONNX Runtime, Keras, torch, TensorFlow or LiteRT

What `load_model` then makes of the module, the canonical graph, is proved against it whenever a model is loaded.

Networks have random weights, with the spread that training gives; each is asked noise, and photos of ImageNet where it
takes images, and files with published inputs and answers are asked those. `relative_error` is the largest difference
of all answers, as a share of the answer's range; `answers_differ_by` is that of the answers to two kinds of noise, so
that it can be seen that a network looks at its input at all.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from benchmarks.input_files.images import noise, photos
from benchmarks.input_files.keras_files import keras_subjects
from benchmarks.input_files.onnx_files import onnx_subjects
from benchmarks.input_files.subject import File, Subject
from benchmarks.input_files.tensorflow_files import tensorflow_subjects
from benchmarks.input_files.torchscript_files import torchscript_subjects
from benchmarks.results import Row
from pocketfit.errors import PocketfitError
from pocketfit.graph.base import relative_error
from pocketfit.models.load import find_source

COUNT = 3
TARGET = 1e-4
GROUPS = (onnx_subjects, keras_subjects, torchscript_subjects, tensorflow_subjects)


def run() -> Iterator[Row]:
    """One row per file."""
    for subjects in GROUPS:
        for subject in subjects():
            with tempfile.TemporaryDirectory() as folder:
                yield {"source": subject.source, "model": subject.model} | _row(subject, Path(folder))


def _row(subject: Subject, folder: Path) -> Row:
    try:
        file = subject.write(folder)
        questions = list(_questions(file))
    except Exception as error:  # each exporter has its own way to give up
        return {"status": "left out", "reason": _line(error)}
    start = time.perf_counter()
    try:
        source = find_source(file.spec, input_shape=file.shape)
    except PocketfitError as error:
        return {"status": "refused", "seconds": time.perf_counter() - start, "reason": _line(error)}
    seconds = time.perf_counter() - start
    answers = [_answer(source.module, given) for _, given, _ in questions]
    if any(got.shape != expected.shape for got, (_, _, expected) in zip(answers, questions, strict=True)):
        return {"status": "left out", "reason": "it mixes its samples, so that it is no model of one sample"}
    errors = {kind: relative_error(expected, got) for got, (kind, _, expected) in zip(answers, questions, strict=True)}
    worst = max(errors.values())
    return {
        "status": "agrees" if worst <= TARGET else "differs",
        "relative_error": worst,
        **errors,
        "answers_differ_by": relative_error(questions[0][2][0], questions[0][2][1]),
        "seconds": seconds,
    }


def _questions(file: File) -> Iterator[tuple[str, Tensor, Tensor]]:
    """What is asked, and what the original answers."""
    random, pictures = noise(file.shape, COUNT), photos(file.shape, COUNT)
    yield "error_on_noise", random, file.answer(random)
    if pictures is not None and not file.known:
        yield "error_on_photos", pictures, file.answer(pictures)
    for given, expected in file.known:
        yield "error_on_published", given, expected


def _answer(module: nn.Module, batch: Tensor) -> Tensor:
    """One sample after the other: not every file takes several."""
    with torch.no_grad():
        return torch.cat([pytree.tree_leaves(module(one[None]))[0] for one in batch])


def _line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
