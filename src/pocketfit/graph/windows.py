"""A convolution as a linear layer: the windows of its input that it multiplies."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import Node
from torch.nn import functional

from pocketfit.graph.affine_layer import geometry

__all__ = ["windows"]


def windows(node: Node, value: torch.Tensor, kernel: tuple[int, ...]) -> torch.Tensor:
    """A view of a layer's input: samples × output position × values of the window, padding included.

    Args:
        node: a convolution that is not transposed, or a linear layer, which reads one row at a time.
        value: its input, channels on axis 1, or last for a linear layer.
        kernel: size of the window; empty for a linear layer.
    """
    if not kernel:
        return value
    slides = geometry(node, len(kernel))
    value = functional.pad(value, [edge for pad in reversed(slides.padding) for edge in (pad, pad)])
    for axis, size in enumerate(kernel):
        value = value.unfold(2 + axis, slides.dilation[axis] * (size - 1) + 1, slides.stride[axis])
    thinned: tuple[Any, ...] = (..., *(slice(None, None, step) for step in slides.dilation))
    return value[thinned].movedim(1, 1 + len(kernel))
