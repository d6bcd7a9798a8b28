"""What each op asks of an NPU.

Its matrix unit multiplies so many channels at once, whether they are there or not, while the next numbers are fetched;
ReLU and normalisation are computed on the way out of it; images lie with channels last, so that exchanging channels and
pixels costs nothing; what is joined is put in its place where it is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from pocketfit.devices.predict.geometry import FEW_CHANNELS, MILLION
from pocketfit.graph.calls import arguments, op_name
from pocketfit.graph.recorder import Record

__all__ = ["TOGETHER", "boundary_amounts", "npu_amounts"]

# Channels that the matrix unit of Qualcomm's NPUs takes at once.
TOGETHER = 32
_CONVOLUTIONS = frozenset({"conv1d", "conv2d", "conv3d"})
_TRANSPOSED = frozenset({"conv_transpose1d", "conv_transpose2d"})
_PRODUCTS = frozenset({"matmul", "bmm", "mm", "addmm", "baddbmm", "einsum", "scaled_dot_product_attention"})
_FREE = frozenset({"relu", "relu6", "hardtanh", "clamp", "leaky_relu", "prelu", "batch_norm", "cat"})
_OF_ROWS = frozenset({"softmax", "layer_norm", "group_norm", "reshape", "flatten", "contiguous", "clone"})
_REORDERED = frozenset({"permute", "transpose"})
# Channels before pixels, and behind them.
_SAME_IN_MEMORY = ([0, 2, 3, 1], [0, 3, 1, 2])


def npu_amounts(one: Record, inputs: Sequence[Record], *, moves: bool) -> dict[str, float]:
    """Units of work by kind.

    Args:
        one: the op.
        inputs: what it reads.
        moves: whether its result is new in memory, and no view.
    """
    op = op_name(one.node)
    if op in _CONVOLUTIONS or op in _TRANSPOSED:
        return _convolution(op, one, inputs)
    if op == "linear":
        return _linear(one, inputs)
    if op in _PRODUCTS or one.macs:
        return {"layout_calls": 1, "matrix_product": one.macs / MILLION}
    if op in _FREE or not (moves or (op in _REORDERED and _reorders(op, one, inputs))):
        return {}
    return {"layout_calls" if op in _OF_ROWS | _REORDERED else "calls": 1, "traffic": _traffic(one, inputs)}


def boundary_amounts(inputs: Sequence[Record], outputs: Sequence[Record]) -> dict[str, float]:
    """What an inference takes beside its ops.

    Args:
        inputs: of the model.
        outputs: likewise.
    """
    return {"inference": 1, "crossing": sum(one.numbers for one in (*inputs, *outputs)) / MILLION}


def _convolution(op: str, one: Record, inputs: Sequence[Record]) -> dict[str, float]:
    weight = inputs[1].output_shape
    channels, filters, window = inputs[0].output_shape[1], one.output_shape[1], prod(weight[2:])
    amounts = {"calls": 1.0, "weights": prod(weight) / MILLION}
    pixels = prod(one.output_shape[2:])
    if pixels == window == 1:
        return amounts
    # A transposed one visits each pixel of its input.
    visited = one.output_shape if op in _CONVOLUTIONS else inputs[0].output_shape
    products = visited[0] * prod(visited[2:]) * window / MILLION
    groups = channels // weight[1] if op in _CONVOLUTIONS else 1
    kind, pairs = _kind(channels, filters, groups, window)
    return amounts | {kind: products * pairs}


def _kind(channels: int, filters: int, groups: int, window: int) -> tuple[str, int]:
    """The kind of a convolution, and pairs of channels that it multiplies at each pixel."""
    if 1 < groups == channels:
        return "depthwise", _filled(filters)
    if groups > 1:
        return "grouped", _pairs(channels // groups, filters)
    if channels <= FEW_CHANNELS:
        return "first_convolution", FEW_CHANNELS * _filled(filters)
    return ("pointwise" if window == 1 else "convolution"), _pairs(channels, filters)


def _linear(one: Record, inputs: Sequence[Record]) -> dict[str, float]:
    filters, channels = inputs[1].output_shape
    amounts = {"calls": 1.0, "weights": filters * channels / MILLION}
    rows = prod(one.output_shape[:-1])
    return amounts if rows == 1 else amounts | {"linear": rows * _pairs(channels, filters) / MILLION}


def _reorders(op: str, one: Record, inputs: Sequence[Record]) -> bool:
    """Whether numbers change their order in memory, where images lie with channels last."""
    rank = len(inputs[0].output_shape)
    if op == "transpose":
        # Of three dimensions, pixels and channels are exchanged.
        return rank > len(("batch", "pixels", "channels"))
    _, dims = arguments(one.node, None, [])
    return [dim % rank for dim in dims] not in _SAME_IN_MEMORY


def _traffic(one: Record, inputs: Sequence[Record]) -> float:
    return (one.numbers + sum(other.numbers for other in inputs if other.node.op != "get_attr")) / MILLION


def _pairs(channels: int, filters: int) -> int:
    return _filled(channels) * _filled(filters)


def _filled(channels: int) -> int:
    return -(-channels // TOGETHER) * TOGETHER
