"""The receptive field of a network, read from its graph: how far tiles must overlap to be seamless."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import lcm
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx import GraphModule, Interpreter, Node
from torch.utils import _pytree as pytree

from pocketfit.errors import ModelError
from pocketfit.graph.calls import op_name
from pocketfit.tiles.reach import Reach
from pocketfit.tiles.rules import Call, Field, Unbounded, rule_of

__all__ = ["ReceptiveField", "minimum_overlap", "receptive_field"]


@dataclass(frozen=True)
class ReceptiveField:
    """On which part of an image one pixel of the output depends.

    Args:
        rows: upwards and downwards.
        columns: to the left and to the right.
        unbounded: why it is the whole image, naming the op; empty where it is bounded. Then `rows` and `columns` mean
            nothing.
    """

    rows: Reach
    columns: Reach
    unbounded: str = ""

    @property
    def margin(self) -> int:
        """Pixels of the input at a tile's inner edge, whose results may differ from those of the whole image."""
        self.require_bounded()
        stride = lcm(self.rows.step.numerator, self.columns.step.numerator)
        return -(-max(self.rows.margin, self.columns.margin) // stride) * stride

    @property
    def stride(self) -> int:
        """Tiles that begin at multiples of this many pixels get the same results as the whole image."""
        self.require_bounded()
        return lcm(self.rows.stride, self.columns.stride)

    def require_bounded(self) -> None:
        """Refuse to go on with a network that looks at the whole image.

        Raises:
            ModelError: naming the op.
        """
        if self.unbounded:
            raise ModelError(
                f"No overlap makes tiles of this model seamless: {self.unbounded}. Give an overlap and blend the "
                "tiles, and look at the result; or take the whole image."
            )


def minimum_overlap(graph: GraphModule) -> int:
    """Smallest overlap in pixels with which tiles give exactly what the whole image gives.

    Half of it is the margin that is to be dropped at either side of a seam.

    Args:
        graph: canonical aten graph of a network from images N×C×H×W to images.

    Raises:
        ModelError: a pixel of the output depends on the whole image, or the graph takes no images.
    """
    return 2 * receptive_field(graph).margin


def receptive_field(graph: GraphModule) -> ReceptiveField:
    """Follow the ops from the input to the first output; nothing is computed.

    An op that is not known to look at a neighbourhood is taken to look at everything.

    Args:
        graph: as for `minimum_overlap`.

    Raises:
        ModelError: the graph takes no images.
    """
    try:
        field = _Walk(graph).result()
    except Unbounded as reason:
        return ReceptiveField(Reach(), Reach(), str(reason))
    return ReceptiveField(*field)


class _Shapes(Interpreter):
    """Runs the graph on shapes alone; a node that gives no tensor has none."""

    def __init__(self, graph: GraphModule) -> None:
        super().__init__(graph)
        self.shapes: dict[Node, tuple[int, ...]] = {}

    def run_node(self, n: Node) -> Any:
        value = super().run_node(n)
        tensors = [leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, torch.Tensor)]
        self.shapes[n] = tuple(tensors[0].shape) if tensors else ()
        return value


def _shapes(graph: GraphModule) -> dict[Node, tuple[int, ...]]:
    interpreter = _Shapes(graph)
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        interpreter.run(torch.zeros(_input_shape(graph.graph)))
    return interpreter.shapes


class _Walk:
    """Follows on what each tensor depends; None: on no pixel."""

    def __init__(self, graph: GraphModule) -> None:
        self.graph = graph.graph
        self.shapes = _shapes(graph)
        self.fields: dict[Node, Field | None] = {}

    def result(self) -> Field:
        """The field of the first output."""
        for node in self.graph.nodes:
            if node.op != "output":
                self.fields[node] = self.field(node)
        first = pytree.tree_leaves(self.graph.output_node().args)[0]
        field, shape = self.fields[first], _input_shape(self.graph)
        if field is None or self.shapes[first][2:] != _at_scale(shape[2:], field):
            raise Unbounded(f"the output {'x'.join(map(str, self.shapes[first]))} is no image in a fixed scale")
        return field

    def field(self, node: Node) -> Field | None:
        if node.op == "placeholder":
            return Reach(), Reach()
        sources = [source for source in node.all_input_nodes if self.fields[source] is not None]
        # A size is read from the input, but it is no pixel of it.
        if not sources or not self.shapes[node]:
            return None
        before = self._together(node, sources)
        rule = rule_of(node)
        if rule is None:
            raise Unbounded(f"{op_name(node)} (node {node.name}) is not known to look at a neighbourhood only")
        return rule(Call(node, sources[0], self.shapes, before))

    def _together(self, node: Node, sources: Sequence[Node]) -> Field:
        def join(left: Field, right: Field) -> Field:
            rows, columns = left[0].joined(right[0]), left[1].joined(right[1])
            if rows is None or columns is None:
                raise Unbounded(f"{op_name(node)} (node {node.name}) reads tensors of different resolutions")
            return rows, columns

        return reduce(join, (field for source in sources if (field := self.fields[source]) is not None))


def _input_shape(graph: torch.fx.Graph) -> tuple[int, ...]:
    (node,) = graph.find_nodes(op="placeholder")
    shape = getattr(node.meta.get("val"), "shape", ())
    if len(shape) != 4:
        raise ModelError(
            f"The model's input {node.name} has {len(shape)} dimensions; tiles are cut from images, "
            "batch x channels x height x width."
        )
    return (1, *(int(size) for size in shape[1:]))


def _at_scale(size: Sequence[int], field: Field) -> tuple[Fraction, ...]:
    return tuple(pixels / reach.step for pixels, reach in zip(size, field, strict=True))
