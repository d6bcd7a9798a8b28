"""Rung: bias correction in every scheme."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pocketfit.compress.quantize.bias_correction import correct_biases
from pocketfit.compress.quantize.draft import Bench, Draft
from pocketfit.types import Variant

__all__ = ["CorrectBiases"]


@dataclass(frozen=True)
class CorrectBiases:
    """Take the shift of each layer's mean out of its bias, unless held-back samples speak against it."""

    name: str = "bias correction"

    def climb(self, bench: Bench, draft: Draft) -> Draft | None:
        """See `Step.climb`."""
        model, before = draft.variant.model, draft.variant.plan
        plan, _ = correct_biases(
            model, replace(before, notes=()), bench.samples, schemes=bench.schemes, reference=draft.base.graph
        )
        notes = (*draft.notes, *plan.notes)
        return replace(draft, variant=Variant(model, replace(plan, notes=before.notes)), notes=notes)
