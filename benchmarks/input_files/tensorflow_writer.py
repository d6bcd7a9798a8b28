"""Write a Keras application as a SavedModel and as a float .tflite file, and what it answers; run in its own process.

python -P tensorflow_writer.py APPLICATION SIDE FOLDER
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

APPLICATIONS = ("MobileNetV2", "MobileNetV3Small", "ResNet50")


def main(application: str, side: int, folder: Path) -> None:
    """Write both files; batch-norm knows what it normalises."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, application)(input_shape=(side, side, 3), weights=None, classes=100)
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(trained_like(random, weight.path, weight.numpy()))
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(random.standard_normal((16, side, side, 3)).astype(np.float32), training=True)
    np.save(folder / f"{application}.npy", model(np.load(folder / "questions.npy"), training=False).numpy())
    model.export(folder / application)
    lite = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    (folder / f"{application}.tflite").write_bytes(lite)


def trained_like(random: np.random.Generator, path: str, values: np.ndarray) -> np.ndarray:
    """Kernels that keep the size of what passes through them; shifts with which most of a channel passes a ReLU.

    With half of it cut off, fifty layers of random weights tear any two inputs apart, and magnify rounding likewise.
    """
    if values.ndim != 1:
        return values * 2**0.5
    if path.endswith("beta"):
        return random.normal(1.0, 0.3, values.shape)
    shift = 0 if path.endswith("variance") else random.random(values.shape) * 0.1
    return values * random.uniform(0.7, 1.3, values.shape) + shift


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
