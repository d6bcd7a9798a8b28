"""The validator: each kind of fault by hand, and reachability against every reading there is."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from random import Random

import pytest

from pocketfit.policy import ArtifactRef, Choice, Condition, Policy, Reading, Rule, Sensor, default_policy
from pocketfit.policy.checks import Kind, check_policy
from pocketfit.policy.engine import latch
from pocketfit.policy.regions import Space, intersection, is_empty, without
from pocketfit.types import Precision

BATTERY, HEADROOM, STATUS, SCENE = (
    Sensor.BATTERY_PERCENT,
    Sensor.HEADROOM_PERMILLE,
    Sensor.THERMAL_STATUS,
    Sensor.SCENE,
)
FULL, LITE = Choice("full"), Choice("lite")
MakePolicy = Callable[..., Policy]


def faults(policy: Policy) -> list[tuple[Kind, str]]:
    return [(finding.kind, finding.rule) for finding in check_policy(policy) if finding.is_fault]


def test_the_default_policy_has_no_fault():
    assert faults(default_policy()) == []


def test_a_rule_behind_a_wider_one_is_never_entered(make: MakePolicy):
    wide = Rule("wide", {BATTERY: Condition(at_most=30, leave_above=35)}, LITE)
    narrow = Rule("narrow", {BATTERY: Condition(at_most=20, leave_above=25), SCENE: Condition(any_of=("a",))}, FULL)
    assert faults(make(wide, narrow)) == [(Kind.UNREACHABLE, "narrow")]
    assert faults(make(narrow, wide)) == []


def test_two_rules_can_cover_a_third_together(make: MakePolicy):
    rules = (
        Rule("low", {BATTERY: Condition(at_most=50, leave_above=60)}, LITE),
        Rule("high", {BATTERY: Condition(at_least=51, leave_below=41)}, FULL),
        Rule("any", {BATTERY: Condition(at_least=0)}, LITE),
    )
    assert (Kind.UNREACHABLE, "any") in faults(make(*rules))
    silent = Rule("any", {BATTERY: Condition(at_least=0, unknown=True)}, LITE)
    assert (Kind.UNREACHABLE, "any") not in faults(make(*rules[:2], silent))


@pytest.mark.parametrize(
    "condition",
    [Condition(at_least=60, at_most=50), Condition(at_least=101), Condition(at_most=-1)],
)
def test_a_condition_that_no_value_fulfils(make: MakePolicy, condition: Condition):
    assert faults(make(Rule("none", {BATTERY: condition}, LITE))) == [(Kind.CONTRADICTION, "none")]


def test_thresholds_the_wrong_way_round(make: MakePolicy):
    assert (Kind.INVERTED, "low") in faults(make(Rule("low", {BATTERY: Condition(at_most=20, leave_above=15)}, LITE)))


@pytest.mark.parametrize(
    ("condition", "flaps"),
    [
        (Condition(at_least=900), True),
        (Condition(at_least=900, leave_below=881), True),
        (Condition(at_least=900, leave_below=880), False),
        (Condition(at_least=0), False),  # no headroom is below it
    ],
)
def test_noise_must_not_be_enough_to_come_and_go(make: MakePolicy, condition: Condition, flaps: bool):
    assert faults(make(Rule("hot", {HEADROOM: condition}, LITE))) == ([(Kind.FLAPPING, "hot")] if flaps else [])


def test_noise_does_not_matter_where_it_changes_nothing(make: MakePolicy):
    assert faults(make(Rule("low", {BATTERY: Condition(at_most=20)}, FULL))) == []
    covered = Rule("all", {BATTERY: Condition(at_most=40, leave_above=50)}, LITE)
    assert faults(make(Rule("low", {BATTERY: Condition(at_most=20)}, LITE), covered)) == []


@pytest.mark.parametrize(("settled", "circles"), [(600, True), (699, True), (700, False), (800, False)])
def test_a_variant_whose_own_load_ends_its_rule(make: MakePolicy, settled: int, circles: bool):
    hot = Condition(at_least=900, leave_below=700)
    rule = Rule("hot", {HEADROOM: hot}, Choice("lite", settles={HEADROOM: settled}))
    policy = make(rule, default=Choice("full", settles={HEADROOM: 950}))
    assert faults(policy) == ([(Kind.OSCILLATION, "default, hot")] if circles else [])


def test_a_sensor_that_settles_before_the_next_threshold_stops_there(make: MakePolicy):
    """From cool to hot it passes "warm", whose choice keeps it from ever getting hot."""
    warm = Rule("warm", {HEADROOM: Condition(at_least=800, leave_below=700)}, Choice("lite", settles={HEADROOM: 750}))
    policy = make(warm, default=Choice("full", settles={HEADROOM: 1000}))
    assert faults(policy) == []


def test_a_circle_of_frame_times(make: MakePolicy):
    slow = {
        Sensor.FRAME_US: Condition(at_least=33_000, leave_below=20_000),
        STATUS: Condition(at_least=2, leave_below=1),
    }
    rule = Rule("slow", slow, Choice("lite", settles={Sensor.FRAME_US: 12_000}))
    policy = make(rule, default=Choice("full", settles={Sensor.FRAME_US: 40_000}))
    assert faults(policy) == [(Kind.OSCILLATION, "default, slow")]


def test_a_gap_between_rules_that_do_the_same(make: MakePolicy):
    below = Rule("below", {STATUS: Condition(at_least=1, leave_below=0, at_most=2, leave_above=3)}, LITE)
    above = Rule("above", {STATUS: Condition(at_least=5, leave_below=3)}, LITE)
    (finding,) = (finding for finding in check_policy(make(below, above)) if finding.kind is Kind.GAP)
    assert (finding.rule, finding.is_fault) == ("below, above", True)
    assert "thermal_status 3 to 4" in finding.message


def test_a_gap_between_rules_that_do_different_things_is_a_note(make: MakePolicy):
    low = Rule("low", {BATTERY: Condition(at_most=20, leave_above=25)}, LITE)
    high = Rule("high", {BATTERY: Condition(at_least=80, leave_below=75)}, FULL)
    (finding,) = (finding for finding in check_policy(make(low, high)) if finding.kind is Kind.GAP)
    assert not finding.is_fault


def test_protecting_sensors_that_fall_silent_are_noted(make: MakePolicy, low_battery: Rule):
    (finding,) = (finding for finding in check_policy(make(low_battery)) if finding.kind is Kind.UNKNOWN)
    assert (finding.rule, finding.is_fault) == ("low", False)


def test_variants_that_the_bundle_lacks(make: MakePolicy, low_battery: Rule):
    policy = make(low_battery)
    int8, half = ArtifactRef("litert", Precision.INT8), ArtifactRef("litert", Precision.FLOAT16)
    assert not [finding for finding in check_policy(policy, [int8, half]) if finding.kind is Kind.NO_ARTIFACT]
    (finding,) = (finding for finding in check_policy(policy, [half]) if finding.kind is Kind.NO_ARTIFACT)
    assert (finding.rule, finding.is_fault) == ("low", True)
    assert "litert int8" in finding.message


def test_a_variant_that_nothing_uses_is_noted(make: MakePolicy):
    assert [finding.kind for finding in check_policy(make())] == [Kind.UNUSED]


STATUSES, MEMORIES, CHARGINGS = (None, *range(7)), (None, *range(4)), (None, False, True)
EVERY = [
    Reading(0, thermal_status=status, memory_pressure=memory, charging=charging)
    for status, memory, charging in product(STATUSES, MEMORIES, CHARGINGS)
]


def random_rules(rng: Random) -> tuple[Rule, ...]:
    def condition(top: int) -> Condition:
        low, high = rng.randint(0, top), rng.randint(0, top)
        unknown = rng.random() < 0.3
        return rng.choice(
            (
                Condition(at_least=low, leave_below=max(0, low - 1), unknown=unknown),
                Condition(at_most=high, leave_above=high + 1, unknown=unknown),
                Condition(at_least=low, at_most=high, unknown=unknown),
            )
        )

    def rule(name: str) -> Rule:
        when = {
            STATUS: condition(6),
            Sensor.MEMORY_PRESSURE: condition(3),
            Sensor.CHARGING: Condition(equals=rng.random() < 0.5, unknown=rng.random() < 0.3),
        }
        kept = rng.sample(sorted(when), rng.randint(1, 3))
        return Rule(name, {sensor: when[sensor] for sensor in kept}, rng.choice((FULL, LITE)))

    return tuple(rule(f"r{index}") for index in range(rng.randint(1, 5)))


@pytest.mark.parametrize("seed", range(60))
def test_reachability_is_exact(make: MakePolicy, seed: int):
    """Each rule is called unreachable or contradictory exactly if it is first at none of all the readings."""
    policy = make(*random_rules(Random(seed)))
    firsts = {latched & -latched for reading in EVERY if (latched := latch(policy, 0, reading))}
    never = {rule.name for index, rule in enumerate(policy.rules) if 1 << index not in firsts}
    told = {rule for kind, rule in faults(policy) if kind in (Kind.UNREACHABLE, Kind.CONTRADICTION)}
    assert told == never


@pytest.mark.parametrize("seed", range(20))
def test_boxes_hold_the_readings_that_the_engine_lets_in(make: MakePolicy, seed: int):
    policy = make(*random_rules(Random(seed)))
    space = Space(policy)
    boxes = [space.box(rule) for rule in policy.rules]
    left = without([space.everything], boxes)
    for one, other in product(left, left):
        assert one is other or is_empty(intersection(one, other))
    for reading in EVERY:
        point = tuple(_cell(axis, reading) for axis in space.axes)
        inside = [not is_empty(intersection(point, box)) for box in boxes]
        assert inside == [bool(latch(policy, 0, reading) >> index & 1) for index in range(len(boxes))]
        assert any(inside) != any(not is_empty(intersection(point, box)) for box in left)


def _cell(axis, reading: Reading) -> int:
    value = reading.value(axis.sensor)
    return axis.unknown if value is None else 1 << axis.cell_of(value)
