"""Write attention out as matrix products and a softmax."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.fx import GraphModule, Node

from pocketfit.graph.attributes import constant
from pocketfit.graph.base import Pass
from pocketfit.graph.calls import arguments
from pocketfit.graph.writer import Writer

__all__ = ["MASKED", "DecomposeAttention"]

aten = torch.ops.aten

# Stands for minus infinity in a mask: its exponential is 0, and half precision can hold it.
MASKED = -1e4


class DecomposeAttention(Pass):
    """Replace `scaled_dot_product_attention(q, k, v)` by `softmax(q · scale @ kᵀ + mask) @ v`.

    Of a single operation only the inputs and the result can be quantized; of matrix products everything can.

    1. The scale is a constant tensor, so that it is quantized like what it is multiplied with.
    2. A mask that is known (a constant, or the causal one of lengths that are) is added as a constant.
    3. Left alone: attention with a mask that is computed, active dropout, and fewer heads of keys than of queries.

    Source: Vaswani et al., "Attention Is All You Need", 2017, equation 1.
    """

    name = "decompose-attention"
    # torch's fused kernel takes the softmax piece by piece.
    tolerance = 1e-5

    def apply(self, module: GraphModule) -> int:
        """Rewrite and count the attentions."""
        nodes = [node for node in module.graph.nodes if _is_known(module, node)]
        for node in nodes:
            _rewrite(module, node)
        return len(nodes)


def _is_known(module: GraphModule, node: Node) -> bool:
    """Whether it is attention of q, k, v and a scale, with no mask but one that is known."""
    if node.target is not aten.scaled_dot_product_attention.default:
        return False
    mask, dropout, causal = _options(node)
    if dropout or node.kwargs.get("enable_gqa"):
        return False
    if causal:
        return all(isinstance(length, int) for length in _lengths(node))
    return mask is None or constant(module, mask) is not None


def _options(node: Node) -> tuple[Any, ...]:
    """Mask, dropout, and whether each query sees only the keys before it."""
    return arguments(node, None, None, None, None, 0.0, False)[3:]


def _rewrite(module: GraphModule, node: Node) -> None:
    query, key, value, *_ = node.args
    write = Writer(module, node)
    scaled = write(aten.mul.Tensor, query, _scale(write, node))
    scores = write(aten.matmul.default, scaled, write(aten.transpose.int, key, -2, -1))
    mask = _mask(module, node)
    if mask is not None:
        scores = write(aten.add.Tensor, scores, write.constant(f"{node.name}_mask", mask, scores))
    node.replace_all_uses_with(write(aten.matmul.default, write(aten.softmax.int, scores, -1), value))
    module.graph.erase_node(node)


def _scale(write: Writer, node: Node) -> Node:
    query: Any = node.args[0]
    given: Any = node.kwargs.get("scale")
    scale = 1 / math.sqrt(query.meta["val"].shape[-1]) if given is None else given
    return write.constant(f"{node.name}_scale", torch.tensor([scale], dtype=query.meta["val"].dtype), query)


def _mask(module: GraphModule, node: Node) -> torch.Tensor | None:
    """What is added to the scores; None where all of them count."""
    mask, _, causal = _options(node)
    query: Any = node.args[0]
    seen = torch.ones(_lengths(node), dtype=torch.bool).tril() if causal else constant(module, mask)
    if seen is None:
        return None
    added = torch.where(seen, 0.0, MASKED) if seen.dtype is torch.bool else seen.clamp(min=MASKED)
    return added.to(query.meta["val"].dtype)


def _lengths(node: Node) -> tuple[int, int]:
    """Of the queries and of the keys."""
    query, key = (argument.meta["val"].shape[-2] for argument in node.args[:2])  # type: ignore[union-attr]
    return query, key
