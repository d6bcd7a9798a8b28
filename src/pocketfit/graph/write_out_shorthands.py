"""Write out ops that are short for a few others, and that converters know badly."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.fx import GraphModule, Node

from pocketfit.graph.base import Pass
from pocketfit.graph.calls import arguments
from pocketfit.graph.writer import Writer

__all__ = ["WriteOutShorthands"]

aten = torch.ops.aten

# A tensor repeated more often than this is left to the converter: each copy is an input of a concatenation.
MOST_COPIES = 16


class WriteOutShorthands(Pass):
    """Replace shorthands by what they are short for.

    1. `rsub(x, c)` is `c - x`: one converter subtracts the other way round.
    2. `clamp_min` and `clamp_max` are `clamp`.
    3. `repeat` concatenates copies: one converter copies along the wrong axis of an image.
    4. `mish(x)` is `x * tanh(softplus(x))`.
    5. `channel_shuffle` is a transposition between two reshapes, which converters know as what it is.
    6. `addcmul` and `addcdiv` are a sum with a product or a quotient.
    7. `chunk` into parts of unequal size says the sizes: one converter takes equal parts only.
    8. The Euclidean `linalg_vector_norm` is the root of a sum of squares; `var` the mean square of what is left when
       the mean is taken away, and `std` its root. Converters lack them, or sum over the wrong axes.
    """

    name = "write-out-shorthands"
    # Sums of squares are taken in another order.
    tolerance = 1e-5

    def apply(self, module: GraphModule) -> int:
        """Rewrite and count the shorthands."""
        changes = 0
        for node in list(module.graph.nodes):
            written = _WRITE_OUT[node.target](Writer(module, node), node) if node.target in _WRITE_OUT else None
            if written is not None:
                node.replace_all_uses_with(written)
                module.graph.erase_node(node)
                changes += 1
        return changes


def _subtract(write: Writer, node: Node) -> Node | None:
    x, other, *alpha = node.args
    if alpha or node.kwargs or not isinstance(x, Node):
        return None
    if not isinstance(other, Node):
        value = torch.tensor([other], dtype=x.meta["val"].dtype)
        other = write.constant(f"{node.name}_from", value, x)
    return write(aten.sub.Tensor, other, x)


def _clamp_low(write: Writer, node: Node) -> Node:
    return write(aten.clamp.default, *node.args)


def _clamp_high(write: Writer, node: Node) -> Node:
    return write(aten.clamp.default, node.args[0], None, node.args[1])


def _copies(write: Writer, node: Node) -> Node | None:
    x: Any = node.args[0]
    counts: Any = node.args[1]
    known = all(isinstance(count, int) for count in counts) and len(counts) == x.meta["val"].ndim
    if not known or counts[0] != 1 or max(counts) > MOST_COPIES:
        return None
    for axis, count in enumerate(counts):
        x = write(aten.cat.default, [x] * count, axis) if count > 1 else x
    return x if x is not node.args[0] else None


def _shuffle(write: Writer, node: Node) -> Node | None:
    x: Any = node.args[0]
    groups: Any = node.args[1]
    _, channels, *sides = x.meta["val"].shape
    if not all(isinstance(size, int) for size in (channels, *sides)):
        return None
    apart = write(aten.reshape.default, x, [-1, groups, channels // groups, *sides])
    return write(aten.reshape.default, write(aten.transpose.int, apart, 1, 2), [-1, channels, *sides])


def _mish(write: Writer, node: Node) -> Node:
    return write(aten.mul.Tensor, node.args[0], write(aten.tanh.default, write(aten.softplus.default, node.args[0])))


def _add_product(write: Writer, node: Node) -> Node | None:
    return _added(write, node, aten.mul.Tensor)


def _add_quotient(write: Writer, node: Node) -> Node | None:
    return _added(write, node, aten.div.Tensor)


def _added(write: Writer, node: Node, between: Any) -> Node | None:
    if node.kwargs.get("value", 1) != 1:
        return None
    x, one, other = node.args
    return write(aten.add.Tensor, x, write(between, one, other))


def _sizes(write: Writer, node: Node) -> Node | None:
    x: Any = node.args[0]
    _, count, axis = arguments(node, None, None, 0)
    whole = x.meta["val"].shape[axis]
    if not isinstance(whole, int) or whole % count == 0:
        return None
    part = -(-whole // count)
    sizes = [min(part, whole - start) for start in range(0, whole, part)]
    return write(aten.split_with_sizes.default, x, sizes, axis)


def _norm(write: Writer, node: Node) -> Node | None:
    x, order, axes, keep = arguments(node, None, 2, None, False)
    if order != 2 or not axes or node.kwargs:
        return None
    total = write(aten.sum.dim_IntList, write(aten.pow.Tensor_Scalar, x, 2), axes, keep)
    return write(aten.sqrt.default, total)


def _variance(write: Writer, node: Node) -> Node | None:
    found = _spread(node)
    return None if found is None else _mean_square(write, node, *found)


def _deviation(write: Writer, node: Node) -> Node | None:
    variance = _variance(write, node)
    return None if variance is None else write(aten.sqrt.default, variance)


def _spread(node: Node) -> tuple[list[int], float, bool] | None:
    """Axes, how much smaller than their number the divisor is, and whether the axes are kept."""
    _, axes, unbiased, keep = arguments(node, None, None, True, False)
    if not axes:
        return None
    options: dict[str, Any] = {"correction": float(unbiased), "keepdim": keep} | dict(node.kwargs)
    correction = 1.0 if options["correction"] is None else float(options["correction"])
    return list(axes), correction, bool(options["keepdim"])


def _mean_square(write: Writer, node: Node, axes: list[int], correction: float, keep: bool) -> Node | None:
    x: Any = node.args[0]
    sizes = [x.meta["val"].shape[axis] for axis in axes]
    if not all(isinstance(size, int) for size in sizes):
        return None
    centred = write(aten.sub.Tensor, x, write(aten.mean.dim, x, axes, True))
    square = write(aten.mean.dim, write(aten.pow.Tensor_Scalar, centred, 2), axes, keep)
    count = math.prod(sizes)
    if not correction or count <= correction:
        return square if not correction else None
    factor = torch.tensor([count / (count - correction)], dtype=x.meta["val"].dtype)
    return write(aten.mul.Tensor, square, write.constant(f"{node.name}_factor", factor, x))


_WRITE_OUT: Mapping[Any, Callable[[Writer, Node], Node | None]] = {
    aten.rsub.Scalar: _subtract,
    aten.rsub.Tensor: _subtract,
    aten.clamp_min.default: _clamp_low,
    aten.clamp_max.default: _clamp_high,
    aten.repeat.default: _copies,
    aten.channel_shuffle.default: _shuffle,
    aten.chunk.default: _sizes,
    aten.mish.default: _mish,
    aten.addcmul.default: _add_product,
    aten.addcdiv.default: _add_quotient,
    aten.linalg_vector_norm.default: _norm,
    aten.var.dim: _variance,
    aten.var.correction: _variance,
    aten.std.dim: _deviation,
    aten.std.correction: _deviation,
}
