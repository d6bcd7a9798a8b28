"""Rung: training with the float model as the teacher."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

from pocketfit.compress.quantize.bias_correction import sweep, with_biases
from pocketfit.compress.quantize.draft import Bench, Draft
from pocketfit.compress.quantize.plan import plan_to_json
from pocketfit.compress.quantize.qat import TrainingRecipe, Trains, train
from pocketfit.compress.training.loop import Learn, learn
from pocketfit.types import Variant

__all__ = ["Train"]


@dataclass(frozen=True)
class Train:
    """Train scales and biases, or the weights as well, in the first scheme; the others' biases follow.

    Args:
        recipe: how.
        learn: where; no part of what a checkpoint is known by.
    """

    recipe: TrainingRecipe = field(default_factory=TrainingRecipe)
    learn: Learn = field(default=learn, repr=False)

    @property
    def name(self) -> str:
        """Such as "training of the plan"."""
        return "training" if self.recipe.trains is Trains.EVERYTHING else "training of the plan"

    def climb(self, bench: Bench, draft: Draft) -> Draft | None:
        """See `Step.climb`."""
        if bench.training is None:
            return None
        trained = train(
            draft.variant,
            bench.training,
            self.recipe,
            scheme=bench.schemes[0],
            teacher=bench.model,
            checkpoint=self._checkpoint(bench, draft),
            progress=lambda step: bench.progress(step.number, step.steps),
            learn=self.learn,
        )
        model, plan = trained.variant.model, trained.variant.plan
        for scheme in bench.schemes[1:]:
            walked = sweep(model.graph, plan, scheme, bench.samples, reference=draft.base.graph)
            plan = with_biases(plan, scheme, walked.biases)
        said = plan.notes[len(draft.variant.plan.notes) :]
        plan = replace(plan, notes=draft.variant.plan.notes)
        # What is spared after this keeps the weights that it was trained together with.
        return replace(draft, base=model, variant=Variant(model, plan), notes=(*draft.notes, *said))

    def _checkpoint(self, bench: Bench, draft: Draft) -> Path | None:
        """A file of this very training, so that a run that was killed goes on where it was."""
        if bench.checkpoints is None:
            return None
        variant = draft.variant
        made_from = f"{self!r} {variant.model.fingerprint} {plan_to_json(variant.plan)} {bench.data_fingerprint}"
        return bench.checkpoints / f"{hashlib.sha256(made_from.encode()).hexdigest()[:32]}.checkpoint"
