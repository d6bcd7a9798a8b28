"""Ops of which nothing is known: what goes in stays whole, and so does what comes out."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import Node
from torch.utils import _pytree as pytree

from pocketfit.compress.prune.coupling import FIXED
from pocketfit.compress.prune.trace import Trace

__all__ = ["unknown"]


def unknown(trace: Trace, node: Node) -> Any:
    """Fix every operand; computations on sizes are done as they stand."""
    arguments, keywords = trace.value(node.args), trace.value(node.kwargs)
    operands = [leaf for leaf in pytree.tree_leaves((arguments, keywords)) if isinstance(leaf, torch.Tensor)]
    if not isinstance(node.meta.get("val"), torch.Tensor | list | tuple):
        return node.target(*arguments, **keywords)  # type: ignore[operator]
    for labels in operands:
        trace.coupling.fix(labels)
    return torch.tensor(FIXED).expand(trace.shape(node)) if isinstance(node.meta["val"], torch.Tensor) else None
