"""Faults of the arithmetic: another range, other statistics, another layout."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pocketfit.contract import Color, Contract
from pocketfit.data.preprocess import arithmetic

__all__ = [
    "caffe",
    "imagenet",
    "other_layout",
    "per_image",
    "raw",
    "statistics_reversed",
    "symmetric_range",
    "twice",
    "unit_range",
    "without_mean",
    "without_std",
]

# Of the images of ImageNet in 0..1, red, green, blue, as most published weights were trained with.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# In 0..255, as the networks of Caffe subtract it.
CAFFE_MEAN = (123.68, 116.779, 103.939)


def raw(pixels: np.ndarray, spec: Contract) -> np.ndarray:
    """0..255."""
    return arithmetic(pixels, replace(spec, scale=1.0, mean=(0.0,), std=(1.0,)))


def unit_range(pixels: np.ndarray, spec: Contract) -> np.ndarray:
    """0..1."""
    return arithmetic(pixels, replace(spec, scale=1 / 255, mean=(0.0,), std=(1.0,)))


def symmetric_range(pixels: np.ndarray, spec: Contract) -> np.ndarray:
    """-1..1."""
    return arithmetic(pixels, replace(spec, scale=1 / 127.5, mean=(1.0,), std=(1.0,)))


def imagenet(pixels: np.ndarray, spec: Contract) -> np.ndarray:
    """ImageNet's mean and std."""
    mean, std = (_in_order(values, spec.color) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return arithmetic(pixels, replace(spec, scale=1 / 255, mean=mean, std=std))


def caffe(pixels: np.ndarray, spec: Contract) -> np.ndarray:
    """BGR in 0..255 minus ImageNet's mean."""
    color = Color.GRAY if spec.color is Color.GRAY else Color.BGR
    return arithmetic(pixels, Contract(color=color, scale=1.0, mean=_in_order(CAFFE_MEAN, color)))


def statistics_reversed(pixels: np.ndarray, spec: Contract) -> np.ndarray:
    """Mean and std of the first channel used for the last."""
    return arithmetic(pixels, replace(spec, mean=spec.mean[::-1], std=spec.std[::-1]))


def without_mean(pixels: np.ndarray, spec: Contract) -> np.ndarray:
    """Scaled and divided by std."""
    return arithmetic(pixels, replace(spec, mean=(0.0,)))


def without_std(pixels: np.ndarray, spec: Contract) -> np.ndarray:
    """Scaled and centred."""
    return arithmetic(pixels, replace(spec, std=(1.0,)))


def twice(pixels: np.ndarray, spec: Contract) -> np.ndarray:
    """The arithmetic on its own result, as when the model has it built in."""
    mean, std = (np.array(values, dtype=np.float32).reshape(-1, 1, 1) for values in (spec.mean, spec.std))
    result: np.ndarray = (arithmetic(pixels, spec) * np.float32(spec.scale) - mean) / std
    return result


def per_image(pixels: np.ndarray, spec: Contract) -> np.ndarray:
    """Each image brought to mean 0 and standard deviation 1; a plain one is not divided by nothing."""
    values = raw(pixels, spec)
    mean, std = values.mean(axis=(1, 2, 3), keepdims=True), values.std(axis=(1, 2, 3), keepdims=True)
    result: np.ndarray = (values - mean) / np.maximum(std, 1 / np.sqrt(np.float32(values[0].size)))
    return result


def other_layout(pixels: np.ndarray, spec: Contract) -> np.ndarray:
    """Numbers in the order height, width, channel, read as channel, height, width."""
    values = arithmetic(pixels, spec)
    return np.ascontiguousarray(values.transpose(0, 2, 3, 1)).reshape(values.shape)


def _in_order(values: tuple[float, ...], color: Color) -> tuple[float, ...]:
    if color is Color.GRAY:
        return (sum(values) / len(values),)
    return values[::-1] if color is Color.BGR else values
