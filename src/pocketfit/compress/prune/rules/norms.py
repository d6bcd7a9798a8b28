"""Normalisations, softmax and sums: what they run over depends on every channel, and stays whole."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import Node

from pocketfit.compress.prune.trace import Rule, Trace

__all__ = ["NORMS"]

aten = torch.ops.aten


def each_channel(trace: Trace, node: Node) -> torch.Tensor:
    """Batch and instance normalisation: a few numbers for each channel."""
    labels: torch.Tensor = trace.value(node.args[0])
    channels = trace.along(labels, 1)
    for argument in node.args[1:5]:
        if isinstance(argument, Node):
            trace.coupling.unite(trace.value(argument), channels)
    return labels


def trailing_axes(trace: Trace, node: Node) -> torch.Tensor:
    """Layer and root-mean-square normalisation."""
    labels: torch.Tensor = trace.value(node.args[0])
    trace.keep_whole(labels, *(-1 - place for place in range(len(node.args[1]))))  # type: ignore[arg-type]
    _fix_constants(trace, node)
    return labels


def group_norm(trace: Trace, node: Node) -> torch.Tensor:
    """Channels of a group are normalised together."""
    labels: torch.Tensor = trace.value(node.args[0])
    trace.keep_whole(labels, *range(1, labels.dim()))
    _fix_constants(trace, node)
    return labels


def softmax(trace: Trace, node: Node) -> torch.Tensor:
    """Shares along one axis."""
    labels: torch.Tensor = trace.value(node.args[0])
    trace.keep_whole(labels, node.args[1])  # type: ignore[arg-type]
    return labels


def reduce(trace: Trace, node: Node) -> torch.Tensor:
    """A sum, mean or extreme over axes."""
    labels: torch.Tensor = trace.value(node.args[0])
    given: Any = (*node.args, None)[1]
    axes = [given] if isinstance(given, int) else list(given or range(labels.dim()))
    trace.keep_whole(labels, *axes)
    for axis in sorted((axis % labels.dim() for axis in axes), reverse=True):
        labels = labels.narrow(axis, 0, 1)
    return labels.reshape(trace.shape(node))


def _fix_constants(trace: Trace, node: Node) -> None:
    for argument in node.args[1:]:
        if isinstance(argument, Node):
            value: Any = trace.value(argument)
            trace.coupling.fix(value)


NORMS: dict[object, Rule] = {
    aten.batch_norm.default: each_channel,
    aten.instance_norm.default: each_channel,
    aten.layer_norm.default: trailing_axes,
    aten.rms_norm.default: trailing_axes,
    aten.group_norm.default: group_norm,
    aten.softmax.int: softmax,
    aten.log_softmax.int: softmax,
    aten.mean.dim: reduce,
    aten.sum.dim_IntList: reduce,
    aten.amax.default: reduce,
    aten.amin.default: reduce,
}
