"""Operators that move elements and compute nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pocketfit.models.onnx_ops.call import Call, Constant, Operator, Value

__all__ = ["TABLE"]


def _reshape(call: Call) -> Value:
    x, sizes = call.tensor(0), call.integers(1, "shape") or []
    if not call.get("allowzero", 0):
        sizes = [x.shape[axis] if _is_zero(size) else size for axis, size in enumerate(sizes)]
    return x.reshape(_with_batch(call, sizes))


def _is_zero(size: Any) -> bool:
    return isinstance(size, int) and size == 0


def _with_batch(call: Call, sizes: list[Any]) -> list[Any]:
    """A file made for a batch of 1 says so in its reshapes; here it is whatever the image has."""
    if call.written_batch is not None and sizes and sizes[0] is not None and sizes[0] == call.written_batch:
        return [call.batch, *sizes[1:]]
    return sizes


def _flatten(call: Call) -> Value:
    x = call.tensor(0)
    axis = call.get("axis", 1)
    axis = axis + x.dim() if axis < 0 else axis
    if axis == 1 and x.dim() > 1:
        return x.flatten(1)
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


def _squeeze(call: Call) -> Value:
    axes = call.integers(1, "axes")
    return call.tensor(0).squeeze() if axes is None else call.tensor(0).squeeze(tuple(axes))


def _unsqueeze(call: Call) -> Value:
    x, axes = call.tensor(0), call.integers(1, "axes") or []
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _transpose(call: Call) -> Value:
    x = call.tensor(0)
    return x.permute(call.get("perm") or tuple(reversed(range(x.dim()))))


def _expand(call: Call) -> Value:
    """Both sides are broadcast: a size of 1 on either gives way to the other."""
    x, wanted = call.tensor(0), _with_batch(call, call.integers(1) or [])
    rank = max(x.dim(), len(wanted))
    have = [1] * (rank - x.dim()) + list(x.shape)
    target = [1] * (rank - len(wanted)) + wanted
    return x.expand([mine if theirs == 1 else theirs for mine, theirs in zip(have, target, strict=True)])


def _tile(call: Call) -> Value:
    return call.tensor(0).repeat(call.integers(1) or [])


def _concat(call: Call) -> Value:
    axis, tensors = call.get("axis", 0), call.tensors()
    if call.written_batch == 1 and axis % tensors[0].dim() != 0:
        tensors = [_over_batch(call, index, tensor) for index, tensor in enumerate(tensors)]
    return torch.cat(tensors, axis)


def _over_batch(call: Call, index: int, tensor: Tensor) -> Tensor:
    """A constant beside the image's features, such as a class token, is there for every image."""
    if isinstance(call.values[index], Constant) and tensor.shape[0] == 1:
        return tensor.expand(call.batch, *tensor.shape[1:])
    return tensor


def _split(call: Call) -> tuple[Value, ...]:
    x, axis, sizes = call.tensor(0), call.get("axis", 0), call.integers(1, "split")
    if sizes is None:
        count = call.get("num_outputs", len(call.node.outputs))
        return tuple(torch.split(x, -(-x.shape[axis] // count), axis))
    return tuple(torch.split(x, sizes, axis))


def _depth_to_space(call: Call) -> Value:
    x, size = call.tensor(0), call.get("blocksize")
    if call.get("mode", "DCR") == "CRD":
        return F.pixel_shuffle(x, size)
    batch, depth, height, width = x.shape
    blocks = x.reshape(batch, size, size, depth // size**2, height, width).permute(0, 3, 4, 1, 5, 2)
    return blocks.reshape(batch, depth // size**2, height * size, width * size)


def _space_to_depth(call: Call) -> Value:
    x, size = call.tensor(0), call.get("blocksize")
    if call.get("mode", "DCR") == "CRD":
        return F.pixel_unshuffle(x, size)
    batch, depth, height, width = x.shape
    blocks = x.reshape(batch, depth, height // size, size, width // size, size).permute(0, 3, 5, 1, 2, 4)
    return blocks.reshape(batch, depth * size**2, height // size, width // size)


_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def _pad(call: Call) -> Value:
    x, mode = call.tensor(0), call.get("mode", "constant")
    ends = _ends(call, x.dim())
    if mode == "constant":
        return F.pad(x, ends, value=float(call.number(2, "value", 0.0)))
    while ends and not any(ends[-2:]):
        ends = ends[:-2]
    if len(ends) // 2 > x.dim() - 1 or x.dim() < 2:
        call.refuse(f"torch pads no batch with {mode!r}.", "Pad spatial axes only.")
    # torch pads all spatial axes of an image or none.
    ends = ends + [0] * (2 * (x.dim() - 2) - len(ends))
    return F.pad(x, ends, mode=_MODES[mode]) if ends else x


def _ends(call: Call, rank: int) -> list[int]:
    """Begin and end of each axis, the last axis first, as torch wants them."""
    pads = call.integers(1, "pads") or []
    axes = call.integers(3) or list(range(rank))
    ends = [0] * (2 * rank)
    for index, axis in enumerate(axes):
        place = 2 * (rank - 1 - axis % rank)
        ends[place], ends[place + 1] = pads[index], pads[index + len(axes)]
    return ends


def _identity(call: Call) -> Value:
    return call.value(0)


def _dropout(call: Call) -> tuple[Value, ...]:
    if call.has(2) and call.number(2, "", False):
        call.refuse("it is active, so no answer can be repeated.", "Export the model in eval mode.")
    x = call.tensor(0)
    return (x, torch.ones_like(x, dtype=torch.bool)) if call.wants(1) else (x,)


TABLE: Mapping[str, Operator] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Expand": _expand,
    "Tile": _tile,
    "Concat": _concat,
    "Split": _split,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "Pad": _pad,
    "Identity": _identity,
    "Dropout": _dropout,
}
