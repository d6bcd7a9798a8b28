"""Rung: float between layers. Layers stay on INT8 kernels; sums, products and activations between them round nothing.

Their errors add up along a residual trunk, and what they concatenate has to share one scale. In float they cost not a
byte, but time: a conversion at each layer. Super-resolution needs it most: the mean error of IMDN halves.
"""

from __future__ import annotations

from dataclasses import replace

from pocketfit.compress.quantize.draft import Bench, Draft, spare
from pocketfit.compress.quantize.placement import fused_activation, is_layer

__all__ = ["FloatBetween"]


class FloatBetween:
    """Compute every op without weights in float."""

    name = "float between layers"

    def __repr__(self) -> str:
        return "FloatBetween()"

    def climb(self, bench: Bench, draft: Draft) -> Draft | None:
        """See `Step.climb`."""
        nodes = [node for node in draft.base.graph.graph.nodes if node.op == "call_function"]
        layers = [node for node in nodes if is_layer(node)]
        fused = {fused_activation(layer) for layer in layers}  # computed by the layer's own kernel
        between = frozenset(node.name for node in nodes if node not in layers and node not in fused)
        if between <= draft.recipe.keep_float:
            return None
        repaired = spare(bench, draft, replace(draft.recipe, keep_float=draft.recipe.keep_float | between))
        if repaired.variant.plan == draft.variant.plan:
            return None
        return replace(repaired, notes=(*draft.notes, "Every op between layers is computed in float."))
