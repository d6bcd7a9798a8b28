"""Along one axis, a resize is a matrix: each new pixel is a mixture of old ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from pocketfit.models.onnx_ops.call import Numbers

__all__ = ["Axis", "leaves", "matrix", "positions"]


@dataclass(frozen=True)
class Axis:
    """What happens to one axis, in the words of ONNX's Resize.

    Args:
        size: old size.
        target: new size.
        scale: new over old, as the file has it; `target` may be rounded.
        mode: "nearest", "linear" or "cubic".
        coordinates: how a new pixel's place becomes an old one's.
        rounding: of places between two pixels, in mode "nearest".
        antialias: whether a smaller image is smoothed first.
        cubic: the coefficient of the cubic kernel.
        excludes: whether weights outside the image are dropped and the others scaled up.
        crop: first and last place as shares of the old size; None for all of it.
    """

    size: int
    target: int
    scale: float
    mode: str = "linear"
    coordinates: str = "half_pixel"
    rounding: str = "round_prefer_floor"
    antialias: bool = False
    cubic: float = -0.75
    excludes: bool = False
    crop: tuple[float, float] | None = None


def leaves(axis: Axis) -> bool:
    """Whether a crop reaches out of the image, where there is nothing to mix."""
    if axis.crop is None:
        return False
    return not all(0 <= _place(axis, index) <= axis.size - 1 for index in range(axis.target))


def positions(axis: Axis) -> list[int]:
    """The old pixel that each new one is a copy of, in mode "nearest"."""
    rounding = _ROUNDINGS[axis.rounding]
    return [min(max(rounding(_place(axis, index)), 0), axis.size - 1) for index in range(axis.target)]


def matrix(axis: Axis) -> Numbers:
    """New × old float32 weights, in modes "linear" and "cubic"."""
    weights = np.zeros((axis.target, axis.size))
    for index in range(axis.target):
        _mix(axis, _place(axis, index), weights[index])
    return weights.astype(np.float32)


def _place(axis: Axis, index: int) -> float:
    """Where a new pixel lies among the old ones."""
    last, width = axis.target - 1, axis.scale * axis.size
    if axis.coordinates == "asymmetric":
        return index / axis.scale
    if axis.coordinates == "align_corners":
        return index * (axis.size - 1) / last if last else 0.0
    if axis.coordinates == "tf_crop_and_resize":
        start, end = axis.crop or (0.0, 1.0)
        room = axis.size - 1
        return start * room + index * (end - start) * room / last if last else 0.5 * (start + end) * room
    if axis.coordinates == "pytorch_half_pixel" and axis.target == 1:
        return 0.0
    place = (index + 0.5) / axis.scale - 0.5
    if axis.coordinates == "half_pixel_symmetric":
        return place + axis.size / 2 * (1 - axis.target / width)
    return place


def _mix(axis: Axis, place: float, weights: Numbers) -> None:
    """Write the weights of one new pixel; what lies outside counts as the pixel at the edge."""
    stretch = max(1.0, 1 / axis.scale) if axis.antialias else 1.0
    reach = (2 if axis.mode == "cubic" else 1) * stretch
    kernel = _KERNELS[axis.mode]
    for old in range(math.floor(place - reach) + 1, math.ceil(place + reach)):
        inside = 0 <= old < axis.size
        if inside or not axis.excludes:
            weights[min(max(old, 0), axis.size - 1)] += kernel((old - place) / stretch, axis.cubic)
    weights /= weights.sum()


def _triangle(distance: float, _: float) -> float:
    return max(0.0, 1 - abs(distance))


def _cubic(distance: float, a: float) -> float:
    """Source: R. Keys, "Cubic convolution interpolation for digital image processing", 1981."""
    x = abs(distance)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


_KERNELS: Mapping[str, Callable[[float, float], float]] = {"linear": _triangle, "cubic": _cubic}

_ROUNDINGS: Mapping[str, Callable[[float], int]] = {
    "round_prefer_floor": lambda place: math.ceil(place - 0.5),
    "round_prefer_ceil": lambda place: math.floor(place + 0.5),
    "floor": math.floor,
    "ceil": math.ceil,
}
