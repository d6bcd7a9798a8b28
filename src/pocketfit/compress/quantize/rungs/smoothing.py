"""Rung: SmoothQuant, for what layer norms feed to linear layers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pocketfit.compress.quantize.draft import Bench, Draft, draw
from pocketfit.compress.quantize.smooth_quant import smooth

__all__ = ["Smooth"]


@dataclass(frozen=True)
class Smooth:
    """Move the outliers of activations into the weights that read them, then draw the plan anew."""

    name: str = "SmoothQuant"

    def climb(self, bench: Bench, draft: Draft) -> Draft | None:
        """See `Step.climb`."""
        smoothed = smooth(draft.base, bench.samples, alpha=None, recipe=draft.recipe)
        if smoothed.model.fingerprint == draft.base.fingerprint:
            return None
        return replace(draw(bench, smoothed.model, draft.recipe), notes=(*draft.notes, *smoothed.notes))
