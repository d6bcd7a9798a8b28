"""Rung: cross-layer equalization."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pocketfit.compress.quantize.draft import Bench, Draft, draw
from pocketfit.compress.quantize.equalization import equalize

__all__ = ["Equalize"]


@dataclass(frozen=True)
class Equalize:
    """Even out the channels of consecutive layers, then draw the plan anew."""

    name: str = "equalization"

    def climb(self, bench: Bench, draft: Draft) -> Draft | None:
        """See `Step.climb`."""
        equalized = equalize(draft.base)
        if not equalized.pairs:
            return None
        note = f"Equalization: {len(equalized.pairs)} pairs of layers."
        return replace(draw(bench, equalized.model, draft.recipe), notes=(*draft.notes, note))
