"""Resizing: torch's own function where it gives the same, otherwise a product with a constant matrix for each axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pocketfit.models.onnx_ops.call import Call, Numbers, Operator, Value
from pocketfit.models.onnx_ops.resize_matrix import Axis, leaves, matrix, positions

__all__ = ["TABLE"]

# torch's functions by mode and number of axes.
_KINDS = {
    ("linear", 3): "linear",
    ("linear", 4): "bilinear",
    ("linear", 5): "trilinear",
    ("cubic", 4): "bicubic",
}


def _resize(call: Call) -> Value:
    return _resized(call, scales=2 if call.opset >= 11 else 1, sizes=3)


def _upsample(call: Call) -> Value:
    return _resized(call, scales=1, sizes=None)


def _resized(call: Call, *, scales: int, sizes: int | None) -> Value:
    x = call.tensor(0)
    axes = _axes(call, x, scales, sizes)
    moved = [index for index, axis in enumerate(axes) if axis.size != axis.target or axis.crop is not None]
    if not moved:
        return x
    if any(leaves(axis) for axis in axes):
        call.refuse("it crops more than the image.", "Export the model with a crop inside it.")
    if min(moved) < 2:
        call.refuse("it resizes the batch or the channels.", "Only spatial axes can be resized.")
    return _nearest(x, axes) if axes[0].mode == "nearest" else _weighted(x, axes)


def _axes(call: Call, x: Tensor, scales: int, sizes: int | None) -> list[Axis]:
    """What happens to each axis of the tensor."""
    chosen = [axis % x.dim() for axis in call.get("axes") or range(x.dim())]
    targets = _targets(call, x, chosen, scales, sizes)
    crops = call.numbers(1).reshape(2, -1) if call.opset >= 11 and _crops(call) else None
    return [
        Axis(
            x.shape[axis],
            *(targets.get(axis) or (x.shape[axis], 1.0)),
            mode={"bilinear": "linear"}.get(call.get("mode", "nearest"), call.get("mode", "nearest")),
            coordinates=call.get("coordinate_transformation_mode", "half_pixel" if call.opset >= 11 else "asymmetric"),
            rounding=call.get("nearest_mode", "round_prefer_floor" if call.opset >= 11 else "floor"),
            antialias=bool(call.get("antialias", 0)),
            cubic=call.get("cubic_coeff_a", -0.75),
            excludes=bool(call.get("exclude_outside", 0)),
            crop=_crop(crops, chosen, axis),
        )
        for axis in range(x.dim())
    ]


def _crops(call: Call) -> bool:
    return bool(call.get("coordinate_transformation_mode") == "tf_crop_and_resize")


def _crop(crops: Numbers | None, chosen: Sequence[int], axis: int) -> tuple[float, float] | None:
    if crops is None or axis not in chosen:
        return None
    start, end = crops[:, list(chosen).index(axis)]
    return None if (start, end) == (0, 1) else (float(start), float(end))


def _targets(
    call: Call, x: Tensor, chosen: Sequence[int], scales: int, sizes: int | None
) -> dict[int, tuple[int, float]]:
    """New size and scale of each axis that is resized."""
    wanted = call.integers(sizes) if sizes is not None and call.has(sizes) else None
    if wanted:
        return _by_sizes(call, x, chosen, wanted)
    factors = call.numbers(scales).reshape(-1) if call.has(scales) else call.get("scales")
    found = {}
    for axis, factor in zip(chosen, factors, strict=True):
        if factor != 1:
            found[axis] = (math.floor(float(factor) * x.shape[axis]), float(factor))
    return found


def _by_sizes(call: Call, x: Tensor, chosen: Sequence[int], wanted: Sequence[int]) -> dict[int, tuple[int, float]]:
    policy = call.get("keep_aspect_ratio_policy", "stretch")
    pairs = list(zip(chosen, wanted, strict=True))
    if policy == "stretch":
        # The batch is whatever it is, though the file may spell it out.
        changed = [pair for pair in pairs if pair[0] >= 2 or (pair[0] == 1 and pair[1] != x.shape[1])]
        return {axis: (size, size / x.shape[axis]) for axis, size in changed}
    pick = min if policy == "not_larger" else max
    factor = pick(size / x.shape[axis] for axis, size in pairs)
    return {axis: (math.floor(factor * x.shape[axis] + 0.5), factor) for axis, _ in pairs}


@dataclass(frozen=True)
class _Torch:
    """One of torch's ways, and where it takes each pixel from."""

    name: str
    shift: float

    def positions(self, axis: Axis) -> list[int]:
        step = axis.size / axis.target
        return [min(math.floor((index + self.shift) * step), axis.size - 1) for index in range(axis.target)]


_NEAREST = (_Torch("nearest", 0.0), _Torch("nearest-exact", 0.5))


def _nearest(x: Tensor, axes: Sequence[Axis]) -> Tensor:
    spatial = axes[2:]
    places = [positions(axis) for axis in spatial]
    for way in _NEAREST:
        if [way.positions(axis) for axis in spatial] == places:
            return F.interpolate(x, [axis.target for axis in spatial], mode=way.name)
    for index, picked in enumerate(places, start=2):
        if picked != list(range(x.shape[index])):
            x = x.index_select(index, torch.tensor(picked))
    return x


def _weighted(x: Tensor, axes: Sequence[Axis]) -> Tensor:
    """By torch's function where each of its pixels is the same mixture."""
    spatial = axes[2:]
    kind = _KINDS.get((axes[0].mode, x.dim()))
    for corners in (False, True):
        if kind and all(_agrees(axis, corners) for axis in spatial):
            return F.interpolate(x, [axis.target for axis in spatial], mode=kind, align_corners=corners)
    for index, axis in enumerate(spatial, start=2):
        if axis.size != axis.target or axis.crop is not None:
            weights = torch.from_numpy(np.ascontiguousarray(matrix(axis).T))
            x = (x.movedim(index, -1) @ weights).movedim(-1, index)
    return x


def _agrees(axis: Axis, corners: bool) -> bool:
    """Whether torch would mix the same pixels by the same weights."""
    theirs = Axis(
        axis.size,
        axis.target,
        axis.target / axis.size,
        mode=axis.mode,
        coordinates="align_corners" if corners else "half_pixel",
    )
    return bool(np.allclose(matrix(axis), matrix(theirs), rtol=0, atol=1e-6))


TABLE: Mapping[str, Operator] = {"Resize": _resize, "Upsample": _upsample}
