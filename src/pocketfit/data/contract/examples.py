"""The contracts and pictures that the test vectors are made of: every choice occurs at least once."""

from __future__ import annotations

import math

import numpy as np

from pocketfit.contract.inputs import Matrix, PixelFormat, Pixels, Range, Yuv, YuvFormat
from pocketfit.contract.outputs import Activation, Boxes, BoxFormat
from pocketfit.contract.sizes import Align, Crop, Exact, Kernel, Letterbox, Rounding, ShorterSide
from pocketfit.contract.spec import Color, Contract, Dtype, Layout, Quantization

__all__ = ["CONTRACTS", "DETECTORS", "noise"]


def noise(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """uint8 noise by a generator that every language can write.

    The state is the seed, and before each byte `s = (1664525 s + 1013904223) mod 2^32`; the byte is `s >> 24`.
    """
    # With 32 bits that overflow, the state after n steps is a^n times the seed plus c times the sum of a^0 to a^(n-1).
    powers = np.multiply.accumulate(np.full(math.prod(shape), 1664525, dtype=np.uint32), dtype=np.uint32)
    sums = np.add.accumulate(np.concatenate([np.ones(1, np.uint32), powers[:-1]]), dtype=np.uint32)
    states: np.ndarray = powers * np.uint32(seed) + sums * np.uint32(1013904223)
    return (states >> np.uint32(24)).astype(np.uint8).reshape(shape)


_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

CONTRACTS: dict[str, Contract] = {
    "classifier": Contract(
        resize=ShorterSide(16, Rounding.FLOOR),
        kernel=Kernel.BICUBIC,
        crop=Crop((14, 13), Rounding.HALF_EVEN),
        mean=_MEAN,
        std=_STD,
    ),
    "camera": Contract(
        input=Yuv(YuvFormat.NV21, Matrix.BT601, Range.FULL),
        resize=ShorterSide(12),
        crop=Crop((11, 11)),
        layout=Layout.NHWC,
        dtype=Dtype.INT8,
        quantization=Quantization(1 / 255, -128),
    ),
    "video": Contract(
        input=Yuv(YuvFormat.I420, Matrix.BT709, Range.LIMITED),
        resize=Exact((15, 10)),
        antialias=False,
        color=Color.BGR,
        scale=1.0,
        mean=(103.939, 116.779, 123.68),
    ),
    "detector": Contract(
        input=Pixels(PixelFormat.RGBA), resize=Letterbox((16, 24)), kernel=Kernel.AREA, layout=Layout.NHWC
    ),
    "corner": Contract(
        resize=Letterbox((9, 9), (1, 2, 3), Align.TOP_LEFT, Rounding.FLOOR),
        kernel=Kernel.BOX,
        scale=1.0,
        dtype=Dtype.UINT8,
        quantization=Quantization(1.0),
    ),
    "digits": Contract(
        input=Pixels(PixelFormat.GRAY), resize=Exact((8, 8)), kernel=Kernel.NEAREST, color=Color.GRAY, orientation=1
    ),
    "as it is": Contract(input=Yuv(YuvFormat.NV12, Matrix.BT709, Range.FULL), color=Color.GRAY, std=(0.3081,)),
}

_PLACED = Letterbox((16, 24))

DETECTORS = (
    Contract(resize=_PLACED, output=Boxes(score_threshold=0.5, labels=("cat", "dog"))),
    Contract(resize=_PLACED, output=Boxes(BoxFormat.CXCYWH, class_wise=False, iou_threshold=0.2, max_boxes=4)),
    Contract(resize=Exact((8, 8)), output=Boxes(normalised=False, activation=Activation.SIGMOID, score_threshold=0.6)),
    Contract(crop=Crop((10, 10)), output=Boxes(activation=Activation.SOFTMAX, score_threshold=0.4)),
)
