"""Hard-swish and hard-sigmoid by a ReLU6, for runtimes and accelerators that lack them."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import Node

from pocketfit.graph.replacements.replacement import Replacement
from pocketfit.graph.writer import Writer

__all__ = ["HARD_SIGMOID", "HARD_SWISH"]

aten = torch.ops.aten


def _gate(write: Writer, node: Node, x: Any) -> Node:
    three = write.constant(f"{node.name}_three", torch.tensor([3.0], dtype=x.meta["val"].dtype), x)
    sixth = write.constant(f"{node.name}_sixth", torch.tensor([1 / 6], dtype=x.meta["val"].dtype), x)
    return write(aten.mul.Tensor, write(aten.relu6.default, write(aten.add.Tensor, x, three)), sixth)


def _sigmoid(write: Writer, node: Node) -> Node:
    return _gate(write, node, node.args[0])


def _swish(write: Writer, node: Node) -> Node:
    x = node.args[0]
    return write(aten.mul.Tensor, x, _gate(write, node, x))


HARD_SWISH = Replacement(
    name="hardswish",
    becomes="x * relu6(x + 3) / 6, written out",
    why="for accelerators without hard-swish",
    targets=(aten.hardswish.default,),
    write=_swish,
    equal=True,
)
HARD_SIGMOID = Replacement(
    name="hardsigmoid",
    becomes="relu6(x + 3) / 6, written out",
    why="for accelerators without hard-sigmoid",
    targets=(aten.hardsigmoid.default,),
    write=_sigmoid,
    equal=True,
)
