"""What a tensor is read through: the activation that alone reads it, as a function of values.

Half of the range before a hard-swish or a leaky ReLU may matter little or not at all behind it, and the levels of an
8-bit tensor are better spent where it does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.fx import Node

__all__ = ["ReadThrough", "read_through"]

aten = torch.ops.aten

ReadThrough = Callable[[np.ndarray], np.ndarray]

# Functions of each value alone.
_POINTWISE = frozenset(
    {
        aten.elu.default,
        aten.gelu.default,
        aten.hardsigmoid.default,
        aten.hardswish.default,
        aten.hardtanh.default,
        aten.leaky_relu.default,
        aten.relu.default,
        aten.relu6.default,
        aten.sigmoid.default,
        aten.silu.default,
        aten.tanh.default,
    }
)


def read_through(node: Node) -> ReadThrough | None:
    """The function of the one op that reads the node, float64 to float64; None where several read it, or another op."""
    reader = next(iter(node.users), None)
    if reader is None or len(node.users) > 1 or reader.target not in _POINTWISE:
        return None
    options = reader.args[1:]

    def through(values: np.ndarray) -> np.ndarray:
        result: np.ndarray = reader.target(torch.from_numpy(values), *options, **reader.kwargs).numpy()  # type: ignore[operator]
        return result

    return through
