"""What each op makes of labels: one family of ops a file, one table of all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.fx import Node

from pocketfit.compress.prune.rules.elementwise import ELEMENTWISE, elementwise, is_pointwise
from pocketfit.compress.prune.rules.layers import LAYERS
from pocketfit.compress.prune.rules.moves import MOVES
from pocketfit.compress.prune.rules.norms import NORMS
from pocketfit.compress.prune.rules.products import PRODUCTS
from pocketfit.compress.prune.rules.spatial import SPATIAL
from pocketfit.compress.prune.rules.unknown import unknown
from pocketfit.compress.prune.trace import Rule, Trace

__all__ = ["RULES", "otherwise"]

RULES: Mapping[object, Rule] = {**ELEMENTWISE, **LAYERS, **MOVES, **NORMS, **PRODUCTS, **SPATIAL}


def otherwise(trace: Trace, node: Node) -> Any:
    """The rule for an op that is in no table."""
    return (elementwise if is_pointwise(node.target) else unknown)(trace, node)
