"""What the steps of the rescue ladder hand to each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from pocketfit.compress.quantize.placement import Placement, place
from pocketfit.compress.quantize.plan import activation_plans, int8_plan, sixteen_bits
from pocketfit.compress.quantize.powers import to_powers_of_two
from pocketfit.compress.quantize.ranges import room_for_bias
from pocketfit.compress.quantize.recipe import Levels, Recipe
from pocketfit.compress.quantize.statistics import TensorStatistics
from pocketfit.graph.attributes import get_tensor
from pocketfit.models.weights import with_weights
from pocketfit.types import ActivationPlan, LoadedModel, Samples, Scheme, Variant

__all__ = ["Bench", "Draft", "Step", "draw", "spare"]


@dataclass(frozen=True)
class Draft:
    """A quantized model on its way.

    Args:
        recipe: what its plan was drawn up by.
        base: the float model that it rounds: the user's own, or an equal one with equalized weights.
        variant: weights and plan as they would be deployed.
        notes: what was decided so far, in plain sentences.
    """

    recipe: Recipe
    base: LoadedModel
    variant: Variant
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bench:
    """What a step works with.

    Args:
        model: the float model as it was loaded.
        samples: batches of calibration samples, float32 in the model's layout.
        schemes: in which the result must hold.
        statistics: of a model's tensors on the samples; models that were asked for before are remembered.
        loss: divergence from the float model on the samples, the worst of the schemes; smaller is better.
        data_fingerprint: of the calibration samples.
        training: what may be learnt from; None for nothing.
        checkpoints: existing folder for unfinished trainings; None to keep none.
        progress: called with (done, total) while a step works.
    """

    model: LoadedModel
    samples: list[np.ndarray]
    schemes: tuple[Scheme, ...]
    statistics: Callable[[LoadedModel], Mapping[str, TensorStatistics]]
    loss: Callable[[Variant], float]
    data_fingerprint: str = ""
    training: Samples | None = None
    checkpoints: Path | None = None
    progress: Callable[[int, int], None] = field(default=lambda done, total: None)


class Step(Protocol):
    """One rung: from the best draft so far to another one, or None where it has nothing to offer."""

    @property
    def name(self) -> str:
        """As the report calls it."""
        ...

    def climb(self, bench: Bench, draft: Draft) -> Draft | None:
        """Try it; the draft is left as it is."""
        ...


def draw(bench: Bench, model: LoadedModel, recipe: Recipe) -> Draft:
    """A fresh draft: weights rounded to nearest, ranges as the recipe says, nothing corrected."""
    plan = int8_plan(
        model,
        bench.statistics(model),
        data_fingerprint=bench.data_fingerprint,
        samples=sum(map(len, bench.samples)),
        recipe=recipe,
    )
    variant = Variant(model, plan)
    if recipe.levels is Levels.POWER_OF_TWO:
        variant = to_powers_of_two(variant)
    return Draft(recipe, model, variant)


def spare(bench: Bench, draft: Draft, recipe: Recipe) -> Draft:
    """The draft with more layers and tensors in float or in sixteen bits; whatever stays as it was keeps its numbers.

    What is no longer quantized gets back the weights it had before rounding. A tensor that shares its scale with fewer
    others than before gets a scale of its own, if the bias of what reads it still fits beside it.
    """
    before = draft.variant.plan
    old = place(draft.base.graph, draft.recipe.keep_float | draft.recipe.half)
    new = place(draft.base.graph, recipe.keep_float | recipe.half)
    activations = {name: before.activations[name] for name in new.tensors}
    fresh = activation_plans(draft.base.graph, _regrouped(old, new), bench.statistics(draft.base), recipe)
    cramped = {new.tensors[name] for name in fresh if not _has_room(draft, name, fresh[name])}
    activations |= {name: numbers for name, numbers in fresh.items() if new.tensors[name] not in cramped}
    wide = {group for name, group in new.tensors.items() if name in recipe.wide}
    for name in (name for name, group in new.tensors.items() if group in wide):
        activations[name] = sixteen_bits(bench.statistics(draft.base), name, new)
    layers = {
        name: replace(layer, weight_scales=(), weight_bits=8, bias={}) if name in recipe.half else layer
        for name, layer in before.layers.items()
        if name in recipe.half or name in new.layers
    }
    rounded = {layer.weight for layer in layers.values() if layer.weight_scales}
    free = {layer.weight for layer in before.layers.values() if layer.weight_scales} - rounded
    model = draft.variant.model
    if free and model.fingerprint != draft.base.fingerprint:
        model = with_weights(model, {path: get_tensor(draft.base.graph, path) for path in free})
    plan = replace(before, model_fingerprint=model.fingerprint, activations=activations, layers=layers)
    return replace(draft, recipe=recipe, variant=Variant(model, plan))


def _regrouped(old: Placement, new: Placement) -> Placement:
    """The tensors of `new` whose scale group has other members than it had."""
    groups = [_members(one) for one in (old, new)]
    changed = {name: group for name, group in new.tensors.items() if groups[0].get(name) != groups[1][name]}
    return replace(new, tensors=changed)


def _has_room(draft: Draft, name: str, numbers: ActivationPlan) -> bool:
    """Whether the biases of the layers that read the tensor fit into INT32 with those numbers."""
    graph = draft.base.graph
    for node in graph.graph.nodes:
        layer = draft.variant.plan.layers.get(node.name)
        if layer is None or not layer.weight_scales or node.args[0].name != name or len(node.args) < 3:
            continue
        if node.args[2] is not None:
            bias = get_tensor(graph, str(node.args[2].target)).float().numpy()
            scale = min(numbers.scale, numbers.symmetric_scale)
            if room_for_bias(layer.weight_scales, bias, scale) != layer.weight_scales:
                return False
    return True


def _members(placement: Placement) -> dict[str, frozenset[str]]:
    """Of each tensor, those it shares its scale with."""
    members: dict[str, set[str]] = {}
    for name, group in placement.tensors.items():
        members.setdefault(group, set()).add(name)
    return {name: frozenset(members[group]) for name, group in placement.tensors.items()}
