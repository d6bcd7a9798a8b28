"""What holds for every policy and every trace."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from pocketfit.policy import (
    Action,
    ArtifactRef,
    Choice,
    Command,
    Condition,
    Handover,
    Policy,
    Reading,
    Rule,
    Run,
    Sensor,
    State,
    Variant,
    policy_from_json,
    policy_to_json,
    step,
)
from pocketfit.policy.vectors import decide, random_case
from pocketfit.types import Precision

VARIANTS = tuple(Variant(name, (ArtifactRef("litert", Precision.INT8),)) for name in ("full", "lite"))
AT_ONCE = Handover(warmup_frames=0)
SEEDS = st.integers(0, 2**32)


def does(policy: Policy, rule: int) -> tuple[str, Run]:
    return policy.choice(rule).use, policy.choice(rule).run


def dwell_of(policy: Policy, rule: int) -> int:
    own = policy.choice(rule).dwell_ms
    return policy.dwell_ms if own is None else own


@settings(max_examples=100, deadline=None)
@given(SEEDS)
def test_a_choice_lasts_its_dwell_time_unless_an_urgent_rule_holds(seed: int):
    case = random_case(Random(seed), "case", 60)
    policy, state, chosen_ms = case.policy, State(), 0
    for reading in case.readings:
        before = state
        state, _ = step(policy, state, reading)
        if before.rule >= 0 and does(policy, before.rule) != does(policy, state.rule):
            urgent = state.rule < len(policy.rules) and policy.rules[state.rule].urgent
            assert urgent or state.now_ms - chosen_ms >= dwell_of(policy, before.rule)
        if before.rule < 0 or does(policy, before.rule) != does(policy, state.rule):
            chosen_ms = state.now_ms


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 99),
    st.integers(1, 20),
    st.lists(st.integers(0, 100), min_size=1, max_size=60),
)
def test_nothing_is_switched_back_within_the_margin(enter: int, margin: int, batteries: list[int]):
    leave = min(enter + margin, 100)
    condition = Condition(at_most=enter, leave_above=leave)
    rule = Rule("low", {Sensor.BATTERY_PERCENT: condition}, Choice("lite"))
    policy = Policy(VARIANTS, Choice("full"), (rule,), dwell_ms=0, handover=AT_ONCE)
    state, low = State(), False
    for time_ms, battery in enumerate(batteries):
        low = battery <= leave if low else battery <= enter
        # Two frames each: a hand-over that has begun is finished before the next one.
        for reading in (Reading(2 * time_ms, battery), Reading(2 * time_ms + 1, battery)):
            state, decision = step(policy, state, reading)
        assert decision.variant == ("lite" if low else "full")


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 7), st.integers(1, 50), st.integers(1, 50), st.integers(1, 6))
def test_the_duty_cycle_is_exact(every: int, on_ms: int, off_ms: int, periods: int):
    run = Run(every, on_ms, on_ms + off_ms)
    policy = Policy(VARIANTS, Choice("full", run), handover=AT_ONCE)
    state, _ = step(policy, State(), Reading(0))
    inferred = 0
    for time_ms in range(1, 1 + periods * run.period_ms):
        state, decision = step(policy, state, Reading(time_ms))
        inferred += decision.action is Action.INFER
    assert inferred == -(-periods * on_ms // every)


@settings(max_examples=50, deadline=None)
@given(SEEDS)
def test_equal_cases_are_decided_alike_also_through_json(seed: int):
    case = random_case(Random(seed), "case", 30)
    read = policy_from_json(policy_to_json(case.policy))
    assert read == case.policy
    assert decide(replace(case, policy=read)) == decide(random_case(Random(seed), "case", 30))


def test_ten_thousand_random_traces_are_decided_soundly():
    rng = Random(0)
    for index in range(10_000):
        case = random_case(rng, str(index), 12)
        variant = ""
        for decision in decide(case):
            swaps = decision.command is Command.SWAP
            assert swaps or decision.variant == variant
            assert decision.action is Action.WAIT or decision.command is Command.NONE
            assert swaps or not (decision.drop_pending or decision.reset)
            variant = decision.variant
