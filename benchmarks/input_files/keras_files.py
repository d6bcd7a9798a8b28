"""Keras applications with random weights, saved as `.keras` files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.input_files.images import noise
from benchmarks.input_files.subject import File, Subject
from benchmarks.input_files.tensorflow_writer import trained_like

__all__ = ["keras_subjects"]

SIDE = 96
APPLICATIONS = (
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Small",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "ResNet50",
    "ResNet50V2",
    "DenseNet121",
    "InceptionV3",
    "Xception",
    "NASNetMobile",
    "VGG16",
)


def keras_subjects() -> Iterator[Subject]:
    """One for each of them."""
    for name in APPLICATIONS:
        yield Subject("keras", name, partial(_save, name))


def _save(name: str, folder: Path) -> File:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(input_shape=(SIDE, SIDE, 3), weights=None, classes=100)
    _train(keras, model)
    path = folder / f"{name}.keras"
    model.save(path)
    return File(str(path), (3, SIDE, SIDE), partial(_answer, model))


def _train(keras: Any, model: Any) -> None:
    """Give the weights the spread of trained ones: as Keras starts them, fifty layers forget what the image was."""
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(trained_like(random, weight.path, keras.ops.convert_to_numpy(weight)))
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    with torch.no_grad():
        model(noise((SIDE, SIDE, 3), 16), training=True)


def _answer(model: Any, batch: Tensor) -> Tensor:
    with torch.no_grad():
        answer = torch.as_tensor(model(batch.permute(0, 2, 3, 1), training=False))
    return answer.permute(0, 3, 1, 2) if answer.dim() == 4 else answer
