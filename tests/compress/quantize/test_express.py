"""What gives way when a runtime cannot express a plan."""

from dataclasses import replace

import pytest

from pocketfit.compress.quantize.arithmetic import Arithmetic, arithmetic
from pocketfit.compress.quantize.express import expressible, refuse_inexpressible
from pocketfit.compress.quantize.plan import float_plan, int8_plan
from pocketfit.compress.quantize.recipe import Recipe
from pocketfit.compress.quantize.statistics import TensorStatistics
from pocketfit.errors import ConversionError
from pocketfit.types import LoadedModel, Precision, QuantizationPlan, RuntimeInfo, Scheme, Variant

PLAIN = RuntimeInfo(
    name="plain",
    title="Plain",
    extra="",
    packages=("plain",),
    suffix=".plain",
    precisions=tuple(Precision),
    scheme=Scheme.AFFINE,
    platforms=("linux",),
)
ABLE = replace(PLAIN, activation_bits=(8, 16), weight_bits=(8, 4), weight_only=True, dynamic=("linear",))
FLOAT_INPUTS = Recipe(activation_bits=32)

Statistics = dict[str, TensorStatistics]


def planned(model: LoadedModel, statistics: Statistics, recipe: Recipe) -> QuantizationPlan:
    return int8_plan(model, statistics, data_fingerprint="", samples=1, recipe=recipe)


def kinds(model: LoadedModel, plan: QuantizationPlan) -> dict[str, Arithmetic]:
    layers = ("conv2d", "conv2d_1", "conv2d_2", "linear")
    return {node.name: arithmetic(node, plan) for node in model.graph.graph.nodes if node.name in layers}


@pytest.mark.parametrize(
    ("recipe", "kind"),
    [
        (Recipe(), Arithmetic.INTEGER),
        (Recipe(weight_bits=4), Arithmetic.INTEGER),
        (Recipe(activation_bits=16), Arithmetic.WIDE),
        (FLOAT_INPUTS, Arithmetic.WEIGHT_ONLY),
        (Recipe(activation_bits=32, dynamic=frozenset({"linear"})), Arithmetic.DYNAMIC),
        (Recipe(half=frozenset({"linear"})), Arithmetic.HALF),
        (Recipe(keep_float=frozenset({"linear"})), Arithmetic.FLOAT),
    ],
    ids=lambda value: str(value) if isinstance(value, Arithmetic) else "",
)
def test_a_runtime_that_can_do_all_gets_every_plan_unchanged(
    model: LoadedModel, statistics: Statistics, recipe: Recipe, kind: Arithmetic
) -> None:
    plan = planned(model, statistics, recipe)
    assert kinds(model, plan)["linear"] is kind
    assert expressible(plan, model, ABLE) == (plan, ())
    refuse_inexpressible(Variant(model, plan), ABLE)


@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.FLOAT16])
def test_float_plans_are_left_alone(model: LoadedModel, precision: Precision) -> None:
    plan = float_plan(model, precision)
    assert expressible(plan, model, PLAIN) == (plan, ())


def test_four_bits_are_numbers_that_any_runtime_has(model: LoadedModel, statistics: Statistics) -> None:
    plan = planned(model, statistics, Recipe(weight_bits=4))
    assert expressible(plan, model, PLAIN) == (plan, ())


def test_wide_tensors_become_float_and_their_readers_weight_only(model: LoadedModel, statistics: Statistics) -> None:
    plan = planned(model, statistics, Recipe(wide=frozenset({"mean"})))
    nearest, said = expressible(plan, model, replace(ABLE, activation_bits=(8,)))
    assert set(plan.activations) - set(nearest.activations) == {"mean"}
    assert kinds(model, nearest) == {**kinds(model, plan), "linear": Arithmetic.WEIGHT_ONLY}
    assert said == (
        "Plain has no 16-bit activations: 1 tensor (mean) left in float, with integer weights alone in 1 layer"
        " (linear).",
    )


def test_one_step_back_may_need_another(model: LoadedModel, statistics: Statistics) -> None:
    plan = planned(model, statistics, Recipe(wide=frozenset({"mean"})))
    nearest, said = expressible(plan, model, PLAIN)
    assert nearest.layers["linear"].weight_scales == ()
    assert len(said) == 2
    assert said[1] == "Plain has no integer weights without INT8 activations: half for 1 layer (linear)."


def test_dynamic_layers_become_static_where_their_input_has_numbers(model: LoadedModel, statistics: Statistics) -> None:
    plan = planned(model, statistics, Recipe(dynamic=frozenset({"linear"})))
    nearest, said = expressible(plan, model, PLAIN)
    assert kinds(model, nearest)["linear"] is Arithmetic.INTEGER
    assert said == ("Plain cannot quantize these inputs at run time: 1 layer (linear) static.",)


def test_dynamic_layers_become_weight_only_where_it_has_none(model: LoadedModel, statistics: Statistics) -> None:
    plan = planned(model, statistics, replace(FLOAT_INPUTS, dynamic=frozenset({"linear"})))
    nearest, said = expressible(plan, model, replace(ABLE, dynamic=()))
    assert kinds(model, nearest)["linear"] is Arithmetic.WEIGHT_ONLY
    assert said == ("Plain cannot quantize these inputs at run time: integer weights alone in 1 layer (linear).",)


def test_a_range_per_row_serves_layers_of_one_row_only(model: LoadedModel, statistics: Statistics) -> None:
    rows = replace(ABLE, dynamic_rows=True)
    plan = planned(model, statistics, replace(FLOAT_INPUTS, dynamic=frozenset({"linear"})))
    assert expressible(plan, model, rows) == (plan, ())
    nodes = {node.name: node for node in model.graph.graph.nodes}
    value = nodes["mean"].meta["val"]
    try:
        nodes["mean"].meta["val"] = value.new_empty((1, 3, 8))
        assert kinds(model, expressible(plan, model, rows)[0])["linear"] is Arithmetic.WEIGHT_ONLY
    finally:
        nodes["mean"].meta["val"] = value


def test_an_op_without_int8_becomes_half(model: LoadedModel, statistics: Statistics) -> None:
    plan = planned(model, statistics, Recipe())
    nearest, said = expressible(plan, model, replace(PLAIN, int8_layers=("linear",)))
    assert set(kinds(model, nearest).values()) == {Arithmetic.HALF, Arithmetic.INTEGER}
    assert nearest.activations == plan.activations
    assert said == ("Plain has no INT8 conv2d: weights in half for 3 layers (conv2d, conv2d_1, conv2d_2).",)


def test_without_half_nothing_but_float_is_left(model: LoadedModel, statistics: Statistics) -> None:
    poor = replace(PLAIN, precisions=(Precision.FLOAT32, Precision.INT8))
    nearest, said = expressible(planned(model, statistics, FLOAT_INPUTS), model, poor)
    assert nearest.layers == {}
    assert said[-1] == "Plain stores no half: float32 for 4 layers (conv2d, conv2d_1, conv2d_2, linear)."


def test_what_came_out_is_expressible(model: LoadedModel, statistics: Statistics) -> None:
    recipes = (Recipe(activation_bits=16), FLOAT_INPUTS, Recipe(dynamic=frozenset({"linear"})))
    for plan in (planned(model, statistics, recipe) for recipe in recipes):
        nearest, said = expressible(plan, model, PLAIN)
        assert said
        assert expressible(nearest, model, PLAIN) == (nearest, ())


def test_a_runtime_refuses_what_it_cannot_express(model: LoadedModel, statistics: Statistics) -> None:
    plan = planned(model, statistics, FLOAT_INPUTS)
    with pytest.raises(ConversionError, match=r"cannot express the plan\. Plain has no integer weights") as caught:
        refuse_inexpressible(Variant(model, plan), PLAIN)
    assert caught.value.runtime == "plain"
    assert "expressible" in caught.value.hint
