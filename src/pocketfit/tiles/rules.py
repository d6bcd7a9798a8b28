"""What each op of a graph does to the receptive field."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch.fx import Node

from pocketfit.graph.calls import op_name
from pocketfit.tiles.reach import Reach

__all__ = ["Call", "Field", "Rule", "Unbounded", "rule_of"]

aten = torch.ops.aten

# Along rows and columns, which are the last two dimensions of every tensor.
Field = tuple[Reach, Reach]


class Unbounded(Exception):
    """The text says which op looks at the whole image."""


@dataclass(frozen=True)
class Call:
    """A call of an op on an image, and the field that all its inputs have together."""

    node: Node
    image: Node
    shapes: Mapping[Node, tuple[int, ...]]
    field: Field

    @property
    def given(self) -> tuple[int, ...]:
        """Shape of the image."""
        return self.shapes[self.image]

    @property
    def gives(self) -> tuple[int, ...]:
        """Shape of the output."""
        return self.shapes[self.node]

    def argument(self, name: str) -> Any:
        """What the call was given under that name, or its default."""
        for place, parameter in enumerate(self.node.target._schema.arguments):  # type: ignore[union-attr]
            if parameter.name == name:
                default = self.node.kwargs.get(name, parameter.default_value)
                return self.node.args[place] if place < len(self.node.args) else default
        raise KeyError(name)

    def has(self, name: str) -> bool:
        """Whether the op has an argument of that name."""
        return any(name == parameter.name for parameter in self.node.target._schema.arguments)  # type: ignore[union-attr]

    def pair(self, name: str) -> tuple[int, int]:
        """An argument for rows and columns, where one number may stand for both."""
        values = self.argument(name)
        values = [values] if isinstance(values, int) else list(values)
        return (values[0], values[-1])

    def each(self, change: Callable[[Reach, int], Reach]) -> Field:
        """Change the reach along rows (0) and columns (1)."""
        return change(self.field[0], 0), change(self.field[1], 1)

    def unbounded(self, why: str) -> Unbounded:
        """To be raised."""
        return Unbounded(f"{op_name(self.node)} (node {self.node.name}) {why}")


def _pointwise(call: Call) -> Field:
    return call.field


def _convolution(call: Call) -> Field:
    return _windows(call, call.shapes[call.argument("weight")][2:])


def _pooling(call: Call) -> Field:
    return _windows(call, call.pair("kernel_size"))


def _windows(call: Call, kernel: Sequence[int]) -> Field:
    stride = call.pair("stride") if call.argument("stride") else tuple(kernel)
    padding = call.pair("padding")
    dilation = call.pair("dilation") if call.has("dilation") else (1, 1)
    transposed = op_name(call.node).startswith("conv_transpose")

    def change(reach: Reach, axis: int) -> Reach:
        through = reach.transposed if transposed else reach.window
        return through(int(kernel[axis]), stride=stride[axis], padding=padding[axis], dilation=dilation[axis])

    return call.each(change)


def _adaptive(call: Call) -> Field:
    if call.given[-2:] != call.gives[-2:]:
        raise call.unbounded("pools the whole image into a fixed number of pixels")
    return call.field


def _ratios(call: Call) -> tuple[Fraction, Fraction]:
    rows, columns = (Fraction(*sizes) for sizes in zip(call.given[-2:], call.gives[-2:], strict=True))
    return rows, columns


def _nearest(call: Call) -> Field:
    ratios = _ratios(call)
    return call.each(lambda reach, axis: reach.nearest(ratios[axis]))


def _unshuffle(call: Call) -> Field:
    factor = call.argument("downscale_factor")
    return call.each(lambda reach, axis: reach.window(factor, stride=factor))


def _smooth(call: Call) -> Field:
    if call.argument("align_corners"):
        raise call.unbounded("aligns the corners of the image, so that every pixel depends on its size")
    support = 2 if "bicubic" in op_name(call.node) else 1
    antialias, ratios = op_name(call.node).endswith("_aa"), _ratios(call)
    return call.each(lambda reach, axis: reach.resized(ratios[axis], support, antialias=antialias))


def _padding(call: Call) -> Field:
    sides = [*call.argument("padding" if call.has("padding") else "pad"), 0, 0]
    return call.each(lambda reach, axis: reach.shifted(-sides[2 - 2 * axis]))


def _slice(call: Call) -> Field:
    axis = call.argument("dim") % len(call.given) - (len(call.given) - 2)
    start, step = call.argument("start") or 0, call.argument("step")
    start += call.given[axis - 2] if start < 0 else 0
    return call.each(lambda reach, which: reach.shifted(start, step=step) if which == axis else reach)


def _over_channels(call: Call) -> Field:
    """Ops along one or more dimensions, which leave height and width alone as long as these are not among them."""
    dims = call.argument("dim")
    dims = [dims] if isinstance(dims, int) else dims
    if not dims or any(dim % len(call.given) >= len(call.given) - 2 for dim in dims):
        raise call.unbounded("goes over the whole image")
    return call.field


def _reshaped(call: Call) -> Field:
    if call.given[-2:] != call.gives[-2:]:
        raise call.unbounded("takes height and width apart")
    return call.field


def _permuted(call: Call) -> Field:
    order = list(range(len(call.given)))
    if call.has("dims"):
        order = [dim % len(order) for dim in call.argument("dims")]
    else:
        first, second = call.argument("dim0"), call.argument("dim1")
        order[first], order[second] = order[second], order[first]
    if order[-2:] != [len(order) - 2, len(order) - 1]:
        raise call.unbounded("moves height and width elsewhere")
    return call.field


Rule = Callable[[Call], Field]

_RULES: Mapping[Any, Rule] = {
    aten.conv2d: _convolution,
    aten.conv_transpose2d: _convolution,
    aten.max_pool2d: _pooling,
    aten.avg_pool2d: _pooling,
    aten.adaptive_avg_pool2d: _adaptive,
    aten.upsample_nearest2d: _nearest,
    aten.pixel_shuffle: _nearest,
    aten.pixel_unshuffle: _unshuffle,
    aten.upsample_bilinear2d: _smooth,
    aten.upsample_bicubic2d: _smooth,
    aten._upsample_bilinear2d_aa: _smooth,
    aten._upsample_bicubic2d_aa: _smooth,
    aten.pad: _padding,
    aten.constant_pad_nd: _padding,
    aten.reflection_pad2d: _padding,
    aten.replication_pad2d: _padding,
    aten.slice: _slice,
    aten.cat: _over_channels,
    aten.chunk: _over_channels,
    aten.split: _over_channels,
    aten.split_with_sizes: _over_channels,
    aten.mean: _over_channels,
    aten.sum: _over_channels,
    aten.amax: _over_channels,
    aten.argmax: _over_channels,
    aten.softmax: _over_channels,
    aten.log_softmax: _over_channels,
    aten.select: _over_channels,
    aten.view: _reshaped,
    aten.reshape: _reshaped,
    aten.flatten: _reshaped,
    aten.unsqueeze: _reshaped,
    aten.squeeze: _reshaped,
    aten.permute: _permuted,
    aten.transpose: _permuted,
    aten.hardswish: _pointwise,
    aten.prelu: _pointwise,
    aten.batch_norm: _pointwise,
    aten.contiguous: _pointwise,
    aten.to: _pointwise,
}


def rule_of(node: Node) -> Rule | None:
    """How the op changes what its result depends on; None of one that is not known to look at a neighbourhood only."""
    if node.target is operator.getitem:
        return _pointwise
    tags = getattr(node.target, "tags", ())
    packet = getattr(node.target, "overloadpacket", None)
    return _pointwise if torch.Tag.pointwise in tags else _RULES.get(packet)
