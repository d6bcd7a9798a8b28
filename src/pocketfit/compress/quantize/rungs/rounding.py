"""Rungs: rounding that looks at the data. GPTQ for all layers, then AdaRound for the worst."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pocketfit.compress.quantize.adaround import adaround
from pocketfit.compress.quantize.bias_correction import sweep
from pocketfit.compress.quantize.draft import Bench, Draft
from pocketfit.compress.quantize.gptq import gptq

__all__ = ["AdaptRounding", "Reconstruct"]


@dataclass(frozen=True)
class Reconstruct:
    """GPTQ with a least-squares target, layer by layer."""

    name: str = "GPTQ"

    def climb(self, bench: Bench, draft: Draft) -> Draft | None:
        """See `Step.climb`."""
        variant = gptq(draft.base, draft.variant.plan, bench.samples, scheme=bench.schemes[0], progress=bench.progress)
        return replace(draft, variant=variant, notes=(*draft.notes, "GPTQ with a least-squares target."))


@dataclass(frozen=True)
class AdaptRounding:
    """AdaRound for the layers with the lowest SQNR.

    Args:
        layers: how many of them.
    """

    layers: int = 4
    name: str = "AdaRound"

    def climb(self, bench: Bench, draft: Draft) -> Draft | None:
        """See `Step.climb`."""
        model, plan, scheme = draft.variant.model, draft.variant.plan, bench.schemes[0]
        walked = sweep(model.graph, plan, scheme, bench.samples, correct=False, reference=draft.base.graph)
        ranked = sorted(walked.quality, key=lambda one: one.sqnr_db)
        worst = [one.name for one in ranked if plan.layers[one.name].weight_scales][: self.layers]
        if not worst:
            return None
        variant = adaround(
            model,
            plan,
            bench.samples,
            scheme=scheme,
            layers=worst,
            reference=draft.base.graph,
            progress=bench.progress,
        )
        return replace(draft, variant=variant, notes=(*draft.notes, f"AdaRound on {', '.join(worst)}."))
