"""Write attention out as matrix products and a softmax."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.fx import GraphModule, Node

from pocketfit.graph.base import Pass
from pocketfit.graph.writer import Writer

__all__ = ["DecomposeAttention"]

aten = torch.ops.aten


class DecomposeAttention(Pass):
    """Replace `scaled_dot_product_attention(q, k, v)` by `softmax(q · scale @ kᵀ) @ v`.

    Of a single operation only the inputs and the result can be quantized; of matrix products everything can.

    1. The scale is a constant tensor, so that it is quantized like what it is multiplied with.
    2. Left alone: attention with a mask, whose minus infinity no integer can hold, active dropout, and fewer heads of
       keys than of queries.

    Source: Vaswani et al., "Attention Is All You Need", 2017, equation 1.
    """

    name = "decompose-attention"
    # torch's fused kernel takes the softmax piece by piece.
    tolerance = 1e-5

    def apply(self, module: GraphModule) -> int:
        """Rewrite and count the attentions."""
        nodes = [node for node in module.graph.nodes if _is_plain(node)]
        for node in nodes:
            _rewrite(module, node)
        return len(nodes)


def _is_plain(node: Node) -> bool:
    """Whether it is attention with nothing but q, k, v and a scale."""
    if node.target is not aten.scaled_dot_product_attention.default:
        return False
    given: tuple[Any, ...] = node.args[3:]
    mask, dropout, causal = given + (None, 0.0, False)[len(given) :]
    return mask is None and not dropout and not causal and not node.kwargs.get("enable_gqa")


def _rewrite(module: GraphModule, node: Node) -> None:
    query, key, value, *_ = node.args
    write = Writer(module, node)
    scaled = write(aten.mul.Tensor, query, _scale(write, node))
    scores = write(aten.matmul.default, scaled, write(aten.transpose.int, key, -2, -1))
    node.replace_all_uses_with(write(aten.matmul.default, write(aten.softmax.int, scores, -1), value))
    module.graph.erase_node(node)


def _scale(write: Writer, node: Node) -> Node:
    query: Any = node.args[0]
    given: Any = node.kwargs.get("scale")
    scale = 1 / math.sqrt(query.meta["val"].shape[-1]) if given is None else given
    return write.constant(f"{node.name}_scale", torch.tensor([scale], dtype=query.meta["val"].dtype), query)
