"""Climbing: what is kept, where it ends, and what is reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import nn

from pocketfit.compress.quantize.calibrate import calibrate
from pocketfit.compress.quantize.divergence import answers_sqnr_db, divergence, sqnr_db
from pocketfit.compress.quantize.draft import Bench, Draft, draw, spare
from pocketfit.compress.quantize.ladder import Target, climb
from pocketfit.compress.quantize.placement import fused_activation, is_layer, place
from pocketfit.compress.quantize.plan import float_plan
from pocketfit.compress.quantize.recipe import Recipe
from pocketfit.compress.quantize.rungs import ChooseRanges, CorrectBiases, FloatBetween, MixPrecision
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.compress.quantize.statistics import TensorStatistics
from pocketfit.graph.attributes import get_tensor
from pocketfit.models.weights import with_weights
from pocketfit.rows import together
from pocketfit.types import LoadedModel, Precision, Scheme, Score, TensorSpec, Variant

Load = Callable[[Callable[[], nn.Module], tuple[int, ...]], LoadedModel]


@pytest.fixture(scope="module")
def bench(model: LoadedModel, samples: list[np.ndarray], statistics: dict[str, TensorStatistics]) -> Bench:
    return bench_of(model, samples, statistics)


def bench_of(model: LoadedModel, samples: list[np.ndarray], statistics: dict[str, TensorStatistics]) -> Bench:
    floats = simulate(model, float_plan(model, Precision.FLOAT32), Scheme.AFFINE, samples)

    def loss(variant: Variant) -> float:
        return divergence(simulate(variant.model, variant.plan, Scheme.AFFINE, samples), floats, model.outputs)

    return Bench(model, samples, (Scheme.AFFINE,), lambda _: statistics, loss)


@dataclass(frozen=True)
class Offer:
    """A step whose drafts are told apart by their notes."""

    name: str

    def climb(self, bench: Bench, draft: Draft) -> Draft | None:
        return None if self.name == "nothing" else replace(draft, notes=(*draft.notes, self.name))


def scores(**divergences: float) -> Callable[..., tuple[Draft, Score] | None]:
    """Score each step by the table; a divergence of d is a drop of d points."""

    def scored(name: str, start: Draft | None, build: Callable[[], Draft | None]) -> tuple[Draft, Score] | None:
        draft = build()
        value = divergences.get(name, 9.0)
        return None if draft is None else (draft, Score(value, 1 - value / 100, 20.0, value, 100))

    return scored


def climbed(bench: Bench, target: float, **divergences: float):
    steps = [Offer(name) for name in divergences if name != "plain"]
    return climb(bench, lambda: draw(bench, bench.model, Recipe()), steps, Target(target), scores(**divergences))


def test_it_ends_at_the_first_step_that_meets_the_target(bench: Bench) -> None:
    ladder = climbed(bench, 1.0, plain=5.0, first=3.0, second=0.9, third=0.1)
    assert [rung.name for rung in ladder.rungs] == ["plain", "first", "second"]
    assert ladder.reached
    assert ladder.score.drop_points == 0.9


def test_a_step_that_does_not_help_is_reported_and_dropped(bench: Bench) -> None:
    ladder = climbed(bench, 1.0, plain=5.0, worse=6.0, better=2.0, equal=2.0)
    assert [(rung.name, rung.kept) for rung in ladder.rungs] == [
        ("plain", True),
        ("worse", False),
        ("better", True),
        ("equal", False),
    ]
    assert ladder.draft.notes == ("better",)
    assert not ladder.reached


def test_a_good_start_needs_no_step(bench: Bench) -> None:
    ladder = climbed(bench, 1.0, plain=0.5, first=0.1)
    assert [rung.name for rung in ladder.rungs] == ["plain"]
    assert ladder.reached


def test_a_step_with_nothing_to_offer_leaves_no_trace(bench: Bench) -> None:
    ladder = climbed(bench, 1.0, plain=5.0, nothing=0.0, other=0.5)
    assert [rung.name for rung in ladder.rungs] == ["plain", "other"]


def test_without_labels_changed_answers_count() -> None:
    assert Target(0.5).met(Score(None, 0.996, 20.0, 0.1, 500))
    assert not Target(0.5).met(Score(None, 0.994, 20.0, 0.1, 500))


def test_flat_accuracy_is_not_enough_where_agreement_is_asked_for() -> None:
    score = Score(-0.1, 0.97, 20.0, 0.1, 500)
    assert Target(0.5).met(score)
    assert not Target(0.5, min_agreement=0.98).met(score)


def test_the_range_with_the_smallest_loss_is_chosen_and_all_are_named(bench: Bench) -> None:
    draft = draw(bench, bench.model, Recipe())
    chosen = ChooseRanges().climb(bench, draft)
    assert chosen is not None
    losses = {
        ranges: bench.loss(draw(bench, bench.model, Recipe(ranges=ranges)).variant)
        for ranges in ("mse", "percentile", "min-max")
    }
    assert chosen.recipe.ranges == min(losses, key=losses.__getitem__)
    assert all(ranges in chosen.notes[-1] for ranges in losses)


def test_correcting_biases_keeps_the_drafts_own_notes(bench: Bench) -> None:
    draft = replace(draw(bench, bench.model, Recipe()), notes=("first",))
    corrected = CorrectBiases().climb(bench, draft)
    assert corrected is not None
    assert corrected.notes[0] == "first"
    assert "Bias correction (affine)" in corrected.notes[1]


# Sparing


def test_what_is_spared_leaves_the_plan_and_what_is_not_keeps_its_numbers(bench: Bench) -> None:
    draft = draw(bench, bench.model, Recipe())
    before = draft.variant.plan
    name = next(iter(before.layers))
    changed = spare(bench, draft, Recipe(half=frozenset({name}))).variant.plan
    assert changed.layers[name].weight_scales == ()
    others = set(before.layers) - {name}
    assert {other: changed.layers[other] for other in others} == {other: before.layers[other] for other in others}
    assert all(changed.activations[tensor] == before.activations[tensor] for tensor in changed.activations)


def test_a_spared_layer_gets_back_the_weights_it_had_before_rounding(bench: Bench) -> None:
    draft = draw(bench, bench.model, Recipe())
    name, layer = next(iter(draft.variant.plan.layers.items()))
    original = get_tensor(draft.base.graph, layer.weight)
    rounded = with_weights(draft.base, {layer.weight: original.round()})
    repaired = spare(
        bench, replace(draft, variant=Variant(rounded, draft.variant.plan)), Recipe(half=frozenset({name}))
    )
    np.testing.assert_array_equal(get_tensor(repaired.variant.model.graph, layer.weight), original)
    assert repaired.variant.plan.model_fingerprint == repaired.variant.model.fingerprint


def test_wide_tensors_get_sixteen_bits_around_zero(bench: Bench) -> None:
    draft = draw(bench, bench.model, Recipe())
    name = next(iter(draft.variant.plan.activations))
    activation = spare(bench, draft, Recipe(wide=frozenset({name}))).variant.plan.activations[name]
    assert (activation.bits, activation.zero_point) == (16, 0)
    largest = max(abs(activation.minimum), abs(activation.maximum))
    assert activation.scale * 32767 == pytest.approx(largest, rel=1e-6)  # one float32 rounding of the scale


def test_mixed_precision_spares_the_layer_that_was_ruined(bench: Bench) -> None:
    draft = draw(bench, bench.model, Recipe())
    layers = dict(draft.variant.plan.layers)
    name = list(layers)[-1]
    coarse = tuple(scale * 60 for scale in layers[name].weight_scales)
    ruined = replace(draft.variant.plan, layers={**layers, name: replace(layers[name], weight_scales=coarse)})
    mixed = MixPrecision(share=0.6).climb(bench, replace(draft, variant=Variant(draft.variant.model, ruined)))
    assert mixed is not None
    assert name in mixed.recipe.half
    assert bench.loss(mixed.variant) < bench.loss(Variant(draft.variant.model, ruined))


def test_mixed_precision_without_a_budget_offers_nothing(bench: Bench) -> None:
    assert MixPrecision(share=0.0).climb(bench, draw(bench, bench.model, Recipe())) is None


def test_float_between_layers_leaves_layers_and_nothing_else_in_int8(bench: Bench) -> None:
    draft = draw(bench, bench.model, Recipe())
    freed = FloatBetween().climb(bench, draft)
    assert freed is not None
    assert freed.variant.plan.layers == draft.variant.plan.layers
    graph = freed.variant.model.graph.graph
    layers = {node for node in graph.nodes if is_layer(node)}
    needed = {node.name for layer in layers for node in (layer, fused_activation(layer), layer.args[0]) if node}
    assert set(freed.variant.plan.activations) <= needed
    assert FloatBetween().climb(bench, freed) is None


def test_a_tensor_that_leaves_its_group_gets_a_scale_of_its_own(load: Load) -> None:
    """Joined with large values a tensor has their coarse steps; once the joint is float it has no need to."""

    class Joined(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.three = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)
            nn.init.constant_(self.two.weight, 50.0)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            one = self.one(x)
            return torch.cat([self.three(one).flatten(1), one.flatten(1), self.two(x).flatten(1)], 1)

    model = load(Joined, (3, 4, 4))
    samples = [np.random.default_rng(0).normal(size=(16, 3, 4, 4)).astype(np.float32)]
    bench = bench_of(model, samples, calibrate(model.graph, samples, place(model.graph).tensors))
    draft = draw(bench, model, Recipe())
    freed = FloatBetween().climb(bench, draft)
    assert freed is not None
    before, after = (one.variant.plan.activations["conv2d"] for one in (draft, freed))
    assert before.group and not after.group
    assert after.scale < before.scale / 10


LOGITS = (TensorSpec("logits", (1, 3)),)


def test_divergence_of_equal_outputs_is_zero_and_of_broken_ones_infinite() -> None:
    logits = np.array([[1.0, 2.0, -3.0]], np.float32)
    assert divergence(logits, logits, LOGITS) == pytest.approx(0, abs=1e-12)  # sums of logarithms in double
    assert divergence(np.array([[np.nan, 0, 0]], np.float32), logits, LOGITS) == np.inf
    # Two classes, p = (½, ½) against q = (¾, ¼): ½ ln(½ / ¾) + ½ ln(½ / ¼)
    assert divergence(np.log([[0.75, 0.25]]), np.log([[0.5, 0.5]]), LOGITS) == pytest.approx(0.5 * np.log(4 / 3))
    pictures = np.ones((1, 1, 2, 2), np.float32)
    assert divergence(pictures * 1.1, pictures, LOGITS) == pytest.approx(0.01, rel=1e-5)  # float32 of 1.1


def test_each_of_several_outputs_counts_as_much_whatever_its_size() -> None:
    specs = (TensorSpec("logits", (1, 2)), TensorSpec("boxes", (1, 1, 2, 2)))
    floats = together([np.log([[0.5, 0.5]]), np.full((1, 1, 2, 2), 1000.0)])
    worse = together([np.log([[0.75, 0.25]]), np.full((1, 1, 2, 2), 1100.0)])
    expected = (0.5 * np.log(4 / 3) + 0.01) / 2
    assert divergence(worse, floats, specs) == pytest.approx(expected)
    # The logits are the worse: a noise of some 3 dB below them, where the boxes have 20.
    assert answers_sqnr_db(worse, floats, specs) == pytest.approx(sqnr_db(worse[:, :2], floats[:, :2]))
