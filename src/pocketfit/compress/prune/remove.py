"""The graph without some units: shorter weights, and every size that the graph has written down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.fx import GraphModule, Node

from pocketfit.compress.prune.dependencies import Dependencies, present
from pocketfit.compress.prune.rules.layers import groups_position
from pocketfit.compress.prune.trace import Role
from pocketfit.graph.attributes import get_tensor, set_tensor
from pocketfit.graph.calls import arguments
from pocketfit.graph.norm_statistics import NormStatistics, norm_statistics, record_norm_statistics
from pocketfit.graph.running import plain_copy

__all__ = ["masked", "removed"]

aten = torch.ops.aten


def removed(found: Dependencies, kept: torch.Tensor) -> GraphModule:
    """A copy of the graph with these units alone; its nodes have the names they had, but no metadata on shapes.

    Args:
        found: the model's channels.
        kept: a bool for each unit; at least one of each group.
    """
    sizes = _Sizes(found, kept)
    graph = plain_copy(found.graph)
    _shorten_weights(graph, found, kept)
    for old, new in zip(found.graph.graph.nodes, graph.graph.nodes, strict=True):
        if old.op == "call_function":
            _shorten_statistics(new, sizes.kept(old))
            rewrite = _REWRITES.get(old.target)
            if rewrite is not None:
                rewrite(sizes, old, new)
    graph.graph.lint()
    graph.recompile()
    return graph


def masked(found: Dependencies, kept: torch.Tensor) -> GraphModule:
    """A copy of the graph in which every layer reads zeros in the place of the other units."""
    graph = plain_copy(found.graph)
    for slot in found.slots:
        if slot.role is Role.READS:
            weight = get_tensor(graph, slot.path).clone()
            mask = present(slot.labels, kept).to(weight.dtype)
            shape = [-1 if axis == slot.axis else 1 for axis in range(weight.dim())]
            set_tensor(graph, slot.path, weight * mask.reshape(shape))
    return graph


class _Sizes:
    """Which positions of each axis stay."""

    def __init__(self, found: Dependencies, kept: torch.Tensor) -> None:
        self.found = found
        self.units = kept

    def kept(self, node: Node) -> list[torch.Tensor] | None:
        """Of each axis of a tensor, a bool per position; None where a node returns no tensor or several."""
        value = self.found.values[node]
        return self.axes(value) if isinstance(value, torch.Tensor) else None

    def axes(self, units: torch.Tensor) -> list[torch.Tensor]:
        """Of each axis of these units."""
        stays = present(units, self.units)
        return [stays.movedim(axis, 0).reshape(units.shape[axis], -1).any(1) for axis in range(units.dim())]

    def source(self, node: Node) -> Any:
        """Units of what a node reads first."""
        first: Any = node.args[0]
        return self.found.values[first]

    def lengths(self, units: torch.Tensor) -> list[int]:
        """The shape that is left."""
        return [int(axis.sum()) for axis in self.axes(units)]


def _shorten_weights(graph: GraphModule, found: Dependencies, kept: torch.Tensor) -> None:
    done = set()
    for slot in found.slots:
        if (slot.path, slot.axis) not in done:
            done.add((slot.path, slot.axis))
            index = present(slot.labels, kept).nonzero().flatten()
            set_tensor(graph, slot.path, get_tensor(graph, slot.path).index_select(slot.axis, index))
    for path, units in found.constants.items():
        stays = present(units, kept)
        if not stays.all():
            shape = _Sizes(found, kept).lengths(units)
            set_tensor(graph, path, get_tensor(graph, path)[stays].reshape(shape))


def _shorten_statistics(node: Node, axes: list[torch.Tensor] | None) -> None:
    statistics = norm_statistics(node)
    if statistics is None or axes is None:
        return
    stays = next((axis for axis in axes if len(axis) == len(statistics.mean) and not axis.all()), None)
    if stays is not None:
        record_norm_statistics(node, NormStatistics(statistics.mean[stays], statistics.std[stays]))


def _layer(sizes: _Sizes, old: Node, new: Node) -> None:
    """Fewer groups, where whole groups leave: as many as the input has channels for."""
    position = groups_position(old)
    if position is None or old.args[position] == 1:
        return
    if any(slot.node is old and slot.role is Role.READS for slot in sizes.found.slots):
        return
    source = sizes.source(old)
    groups: Any = old.args[position]
    width = source.shape[1] // groups
    new.update_arg(position, sizes.lengths(source)[1] // width)


def _sized(sizes: _Sizes, old: Node, new: Node) -> None:
    """A list of sizes, one for each axis of the result; -1 and sizes that come from the batch stay."""
    units = sizes.found.values[old]
    lengths = sizes.lengths(units)
    given: Any = old.args[1]
    new.update_arg(1, [_length(*sizes_) for sizes_ in zip(new.args[1], given, units.shape, lengths, strict=True)])  # type: ignore[arg-type]


def _length(new: Any, given: Any, before: int, after: int) -> Any:
    return after if isinstance(given, int) and given != -1 and before != after else new


def _unflatten(sizes: _Sizes, old: Node, new: Node) -> None:
    units = sizes.found.values[old]
    given: Any = old.args
    _, axis, parts = given
    first = axis % (units.dim() - len(parts) + 1)
    new.update_arg(2, sizes.lengths(units)[first : first + len(parts)])


def _split(sizes: _Sizes, old: Node, new: Node) -> None:
    """Into parts of any length, where they are no longer all the same."""
    parts = sizes.found.values[old]
    axis: Any = old.args[2] if len(old.args) > 2 else old.kwargs.get("dim", 0)
    lengths = [sizes.lengths(part)[axis] for part in parts]
    if lengths != [part.shape[axis] for part in parts]:
        new.target = aten.split_with_sizes.default
        new.args, new.kwargs = (new.args[0], lengths, axis), {}


def _slice(sizes: _Sizes, old: Node, new: Node) -> None:
    given: Any = arguments(old, None, 0, None, None)
    _, axis, start, end = given[:4]
    stays = sizes.axes(sizes.source(old))[axis]
    if not stays.all():
        first, last, _ = slice(start, end).indices(len(stays))
        new.args = (new.args[0], axis, int(stays[:first].sum()), int(stays[:last].sum()))


def _pad(sizes: _Sizes, old: Node, new: Node) -> None:
    source, result = sizes.source(old), sizes.found.values[old]
    given: Any = old.args[1]
    edges = list(given)
    for place in range(len(edges) // 2):
        axis = result.dim() - 1 - place
        stays = sizes.axes(result)[axis]
        if not stays.all():
            before = edges[2 * place]
            edges[2 * place] = int(stays[:before].sum())
            edges[2 * place + 1] = int(stays[before + source.shape[axis] :].sum())
    new.update_arg(1, edges)


_REWRITES: dict[object, Callable[[_Sizes, Node, Node], None]] = {
    aten.view.default: _sized,
    aten._unsafe_view.default: _sized,
    aten.reshape.default: _sized,
    aten.expand.default: _sized,
    aten.unflatten.int: _unflatten,
    aten.split.Tensor: _split,
    aten.split_with_sizes.default: _split,
    aten.chunk.default: _split,
    aten.slice.Tensor: _slice,
    aten.constant_pad_nd.default: _pad,
    aten.pad.default: _pad,
    aten.conv1d.default: _layer,
    aten.conv2d.default: _layer,
    aten.conv3d.default: _layer,
    aten.conv_transpose1d.default: _layer,
    aten.conv_transpose2d.input: _layer,
    aten.conv_transpose3d.input: _layer,
}
