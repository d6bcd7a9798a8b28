"""How activations and weights lie in memory.

Activations are channels × height × width before packing; where channels go in fours, they are filled up with zeros.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Layout", "WeightOrder", "blocks", "pack_activations", "pack_weights", "packed_shape", "unpack_activations"]


class Layout(StrEnum):
    """Where a runtime keeps activations: a buffer in one of three orders, or an image."""

    NCHW = "buffer NCHW"
    NHWC = "buffer NHWC"
    NC4HW4 = "buffer NC4HW4"
    IMAGE = "image2d"


class WeightOrder(StrEnum):
    """Orders of the weights, outermost first; all but the first end in four filters, read as one float4."""

    PLAIN = "filters, channels, taps"
    CHANNELS_TAPS = "filters / 4, channels, taps, 4 filters"
    BLOCKS_TAPS = "filters / 4, channels / 4, taps, 4 channels, 4 filters"
    TAPS_CHANNELS = "filters / 4, taps, channels, 4 filters"


# Where blocks, the four channels of one, rows and columns go.
_AXES = {
    Layout.NCHW: (0, 1, 2, 3),
    Layout.NHWC: (2, 3, 0, 1),
    Layout.NC4HW4: (0, 2, 3, 1),
    Layout.IMAGE: (2, 0, 3, 1),
}


def blocks(channels: int) -> int:
    """Blocks of four that so many channels fill, the last perhaps not wholly."""
    return -(-channels // 4)


def packed_shape(layout: Layout, channels: int, height: int, width: int) -> tuple[int, ...]:
    """Shape of packed activations; NCHW is filled up as well, because kernels write four filters at a time."""
    count = blocks(channels)
    return {
        Layout.NCHW: (count * 4, height, width),
        Layout.NHWC: (height, width, count * 4),
        Layout.NC4HW4: (count, height, width, 4),
        Layout.IMAGE: (height, count * width, 4),
    }[layout]


def pack_activations(x: np.ndarray, layout: Layout) -> np.ndarray:
    """Bring channels × height × width into a layout."""
    import numpy as np

    channels, height, width = x.shape
    fours = _fill(x, 0).reshape(-1, 4, height, width)
    packed = fours.transpose(_AXES[layout]).reshape(packed_shape(layout, channels, height, width))
    return np.ascontiguousarray(packed)


def unpack_activations(packed: np.ndarray, layout: Layout, channels: int) -> np.ndarray:
    """Undo `pack_activations`: channels × height × width, without what was filled up."""
    if layout is Layout.NCHW:
        return packed[:channels]
    if layout is Layout.NHWC:
        return packed.transpose(2, 0, 1)[:channels]
    if layout is Layout.IMAGE:
        height, _, _ = packed.shape
        packed = packed.reshape(height, blocks(channels), -1, 4).transpose(1, 0, 2, 3)
    _, height, width, _ = packed.shape
    return packed.transpose(0, 3, 1, 2).reshape(-1, height, width)[:channels]


def pack_weights(weights: np.ndarray, order: WeightOrder) -> np.ndarray:
    """Bring filters × channels × kernel × kernel into an order."""
    import numpy as np

    filters, channels, rows, columns = weights.shape
    if order is WeightOrder.PLAIN:
        return np.ascontiguousarray(weights)
    filled = _fill(weights, 0)
    if order is WeightOrder.CHANNELS_TAPS:
        split = filled.reshape(blocks(filters), 4, channels, rows * columns)
        return np.ascontiguousarray(split.transpose(0, 2, 3, 1))
    split = _fill(filled, 1).reshape(blocks(filters), 4, blocks(channels), 4, rows * columns)
    axes = (0, 2, 4, 3, 1) if order is WeightOrder.BLOCKS_TAPS else (0, 4, 2, 3, 1)
    return np.ascontiguousarray(split.transpose(axes))


def _fill(values: np.ndarray, axis: int) -> np.ndarray:
    """Append zeros along an axis up to a multiple of four."""
    import numpy as np

    missing = -values.shape[axis] % 4
    return np.pad(values, [(0, missing if at == axis else 0) for at in range(values.ndim)])
