"""Rung: mixed precision. What hurts most for what it costs is computed in float, weights stored in half.

Source: the greedy choice by accuracy gained per cost follows Dong et al. 2019, "HAWQ: Hessian AWare Quantization of
Neural Networks with Mixed-Precision", section 3; the gain here is measured, not derived from curvature.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

from pocketfit.compress.quantize.draft import Bench, Draft, spare
from pocketfit.compress.quantize.recipe import Recipe
from pocketfit.compress.quantize.units import Unit, units

__all__ = ["MixPrecision", "spared"]

# Bytes of the quantize and dequantize ops around what is spared: what costs nothing else is not free.
FIXED_BYTES = 64
FIXED_WORK = 1024


@dataclass(frozen=True)
class MixPrecision:
    """Spare units, best gain per cost first, until a share of the cost of sparing everything is spent.

    Args:
        share: of that cost, 0..1.
        per: whether cost is counted in bytes of the file or in work, which latency grows with.
    """

    share: float
    per: Literal["size", "latency"] = "size"

    @property
    def name(self) -> str:
        """Such as "mixed precision 5%"."""
        return f"mixed precision {self.share:.0%}"

    def climb(self, bench: Bench, draft: Draft) -> Draft | None:
        """See `Step.climb`."""
        open_units = [unit for unit in units(draft.base) if not _is_spared(unit, draft.recipe)]
        budget = self.share * sum(self._cost(unit) for unit in open_units if len(unit.layers) <= 1)
        loss = bench.loss(draft.variant)
        gains = _gains(bench, draft, open_units, loss)
        best, taken = draft, []
        for unit in sorted(gains, key=lambda unit: gains[unit] / self._cost(unit), reverse=True):
            if self._cost(unit) > budget or gains[unit] <= 0 or _is_spared(unit, best.recipe):
                continue
            candidate = spare(bench, best, spared(best.recipe, unit.nodes, unit.layers))
            reached = bench.loss(candidate.variant)
            if reached < loss:
                best, loss, budget = candidate, reached, budget - self._cost(unit)
                taken.append(unit.name)
        if not taken:
            return None
        note = f"Mixed precision: in float, weights in half: {', '.join(taken)}."
        return replace(best, notes=(*draft.notes, note))

    def _cost(self, unit: Unit) -> float:
        # Two bytes instead of one for each weight; float takes about twice the time of INT8.
        return unit.weights + FIXED_BYTES if self.per == "size" else unit.work + FIXED_WORK


def spared(recipe: Recipe, nodes: Collection[str], layers: Collection[str]) -> Recipe:
    """The recipe with these nodes in float, the weights of the layers among them in half."""
    return replace(
        recipe,
        keep_float=recipe.keep_float | (frozenset(nodes) - frozenset(layers)),
        half=recipe.half | frozenset(layers),
    )


def _is_spared(unit: Unit, recipe: Recipe) -> bool:
    return unit.nodes <= recipe.keep_float | recipe.half


def _gains(bench: Bench, draft: Draft, open_units: list[Unit], loss: float) -> dict[Unit, float]:
    """By how much the loss falls when one unit alone is spared."""
    gains = {}
    for count, unit in enumerate(open_units):
        candidate = spare(bench, draft, spared(draft.recipe, unit.nodes, unit.layers))
        gains[unit] = loss - bench.loss(candidate.variant)
        bench.progress(count + 1, len(open_units))
    return gains
