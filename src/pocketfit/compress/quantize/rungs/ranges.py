"""Rung: the range method that suits this network."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pocketfit.compress.quantize.draft import Bench, Draft, draw
from pocketfit.compress.quantize.ranges import Ranges

__all__ = ["ChooseRanges"]

# KL is left out: it collapses on networks that every other method survives.
CANDIDATES = (Ranges.MSE, Ranges.PERCENTILE, Ranges.MIN_MAX)


@dataclass(frozen=True)
class ChooseRanges:
    """Draw a plan by each method and keep the one with the smallest loss on the calibration samples."""

    name: str = "ranges"

    def climb(self, bench: Bench, draft: Draft) -> Draft | None:
        """See `Step.climb`."""
        losses: dict[Ranges, float] = {}
        best = draft
        for count, ranges in enumerate(CANDIDATES):
            candidate = draw(bench, draft.base, replace(draft.recipe, ranges=ranges))
            losses[ranges] = bench.loss(candidate.variant)
            if losses[ranges] <= min(losses.values()):
                best = candidate
            bench.progress(count + 1, len(CANDIDATES))
        found = ", ".join(f"{ranges} {loss:.4f}" for ranges, loss in losses.items())
        note = f"Ranges by {best.recipe.ranges}: divergence on the calibration samples {found}."
        return replace(best, notes=(*draft.notes, note))
