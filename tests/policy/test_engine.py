"""The engine on cases that are worked out by hand; docs/policy.md is the definition."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from pocketfit.policy import (
    Action,
    Choice,
    Command,
    Condition,
    Decision,
    Handover,
    Pending,
    Policy,
    Reading,
    Rule,
    Run,
    Sensor,
    State,
    step,
)

INFER, SKIP, WAIT, WARM_UP = Action.INFER, Action.SKIP, Action.WAIT, Action.WARM_UP


def follow(policy: Policy, readings: Iterable[Reading]) -> list[Decision]:
    state, decisions = State(), []
    for reading in readings:
        state, decision = step(policy, state, reading)
        decisions.append(decision)
    return decisions


def settled(policy: Policy, readings: Iterable[Reading]) -> list[Decision]:
    """Each reading is given twice, so that a hand-over that it begins is finished before the next."""
    return follow(policy, [reading for reading in readings for _ in range(2)])[1::2]


def variants_at(policy: Policy, batteries: Iterable[int | None]) -> list[str]:
    readings = [Reading(index * 1000, battery) for index, battery in enumerate(batteries)]
    return [decision.variant for decision in settled(policy, readings)]


def actions(policy: Policy, times_ms: Iterable[int]) -> list[Action]:
    """Behind the first frame, which opens the variant."""
    return [decision.action for decision in follow(policy, [Reading(0), *map(Reading, times_ms)])][1:]


def test_a_rule_is_entered_at_one_threshold_and_left_beyond_the_other(make: Callable[..., Policy], low_battery: Rule):
    seen = variants_at(make(low_battery), [21, 20, 22, 25, 26, 25, 21, 20])
    assert seen == ["full", "lite", "lite", "lite", "full", "full", "full", "lite"]


def test_an_unknown_sensor_holds_only_where_the_condition_says_so(make: Callable[..., Policy], low_battery: Rule):
    assert variants_at(make(low_battery), [None, 101, -1]) == ["full"] * 3
    silent = Rule("silent", {Sensor.BATTERY_PERCENT: Condition(unknown=True)}, Choice("lite"))
    assert variants_at(make(silent), [None, 101, 0, -1]) == ["lite", "lite", "full", "lite"]


def test_the_first_rule_that_holds_is_followed(make: Callable[..., Policy], low_battery: Rule):
    secure = Rule("secure", {Sensor.SCENE: Condition(any_of=("high-security",))}, Choice("full"))
    readings = [Reading(0, 10), Reading(1, 10, scene="high-security"), Reading(2, 10, scene="other"), Reading(3, 10)]
    assert [one.rule for one in settled(make(secure, low_battery), readings)] == ["low", "secure", "low", "low"]


def test_a_rule_remembers_that_it_holds_behind_an_earlier_one(make: Callable[..., Policy], low_battery: Rule):
    """At 24% the battery rule would not be entered; it was entered at 20% while another rule was followed."""
    secure = Rule("secure", {Sensor.SCENE: Condition(any_of=("high-security",))}, Choice("full"))
    readings = [Reading(0, 20, scene="high-security"), Reading(1, 24, scene="high-security"), Reading(2, 24)]
    assert [one.rule for one in settled(make(secure, low_battery), readings)] == ["secure", "secure", "low"]


def test_the_dwell_time_holds_a_change_back(make: Callable[..., Policy], low_battery: Rule):
    policy = make(low_battery, dwell_ms=3000)
    assert variants_at(policy, [50, 20, 20, 20, 50, 50, 50]) == [*["full"] * 3, *["lite"] * 3, "full"]


def test_a_choice_has_a_dwell_time_of_its_own(make: Callable[..., Policy], low_battery: Rule):
    policy = make(low_battery, default=Choice("full", dwell_ms=1000), dwell_ms=3000)
    assert variants_at(policy, [50, 20, 50, 50, 50]) == ["full", "lite", "lite", "lite", "full"]


def test_an_urgent_rule_does_not_wait(make: Callable[..., Policy]):
    hot = Rule("hot", {Sensor.THERMAL_STATUS: Condition(at_least=3)}, Choice("lite"), urgent=True)
    readings = [Reading(0, thermal_status=0), Reading(1, thermal_status=3), Reading(2, thermal_status=0)]
    assert [one.variant for one in settled(make(hot, dwell_ms=100), readings)] == ["full", "lite", "lite"]


def test_another_rule_with_the_same_choice_is_no_change(make: Callable[..., Policy], low_battery: Rule):
    hot = Rule("hot", {Sensor.THERMAL_STATUS: Condition(at_least=3)}, Choice("lite"))
    readings = [Reading(0, 10), Reading(1, 10), Reading(2, 10, thermal_status=4), Reading(3, 50, thermal_status=4)]
    seen = follow(make(hot, low_battery, dwell_ms=1000), readings)
    assert [one.rule for one in seen] == ["low", "low", "hot", "hot"]
    assert [one.command for one in seen] == [Command.SWAP, *[Command.NONE] * 3]


def test_every_nth_frame_is_inferred(make: Callable[..., Policy]):
    assert actions(make(default=Choice("full", Run(every=3))), range(7)) == [INFER, SKIP, SKIP] * 2 + [INFER]


def test_a_part_of_the_time_is_inferred_in(make: Callable[..., Policy]):
    policy = make(default=Choice("full", Run(on_ms=100, period_ms=300)))
    assert actions(policy, range(50, 650, 50)) == [INFER, INFER, SKIP, SKIP, SKIP, SKIP] * 2


def test_nth_frames_are_counted_within_the_on_time(make: Callable[..., Policy]):
    policy = make(default=Choice("full", Run(every=2, on_ms=3, period_ms=5)))
    assert actions(policy, range(10)) == [INFER, SKIP, INFER, SKIP, SKIP, SKIP, INFER, SKIP, SKIP, SKIP]


def test_no_on_time_infers_nothing(make: Callable[..., Policy]):
    assert set(actions(make(default=Choice("full", Run(on_ms=0))), range(9))) == {SKIP}


def test_a_changed_duty_cycle_alone_swaps_nothing(make: Callable[..., Policy]):
    hot = Rule("hot", {Sensor.THERMAL_STATUS: Condition(at_least=3)}, Choice("full", Run(every=2)))
    readings = [Reading(0), Reading(1), Reading(2, thermal_status=3), Reading(3, thermal_status=3)]
    seen = follow(make(hot), readings)
    assert [(one.rule, one.action, one.command) for one in seen] == [
        ("default", WAIT, Command.SWAP),
        ("default", INFER, Command.NONE),
        ("hot", INFER, Command.NONE),
        ("hot", SKIP, Command.NONE),
    ]


def test_a_hand_over_drains_opens_and_warms_up(make: Callable[..., Policy], low_battery: Rule):
    policy = make(low_battery, handover=Handover(drain_ms=100, warmup_frames=2, state="reset"))
    readings = [
        *(Reading(time, 50) for time in range(4)),
        Reading(10, 20, in_flight=2),
        Reading(20, 20, in_flight=1),
        Reading(30, 20, in_flight=0),
        Reading(40, 20, ready=False),
        *(Reading(time, 20) for time in (50, 60, 70)),
    ]
    seen = follow(policy, readings)[4:]
    assert [(one.variant, one.action, one.command, one.drop_pending, one.reset) for one in seen] == [
        ("full", WAIT, Command.DRAIN, False, False),
        ("full", WAIT, Command.NONE, False, False),
        ("lite", WAIT, Command.SWAP, False, True),
        ("lite", WAIT, Command.NONE, False, False),
        ("lite", WARM_UP, Command.NONE, False, False),
        ("lite", WARM_UP, Command.NONE, False, False),
        ("lite", INFER, Command.NONE, False, False),
    ]


@pytest.mark.parametrize(
    ("handover", "commands"),
    [
        (Handover(drain_ms=15), [Command.DRAIN, Command.NONE, Command.SWAP]),
        (Handover(pending=Pending.DROP), [Command.SWAP, Command.NONE, Command.NONE]),
    ],
)
def test_pending_frames_are_dropped_at_once_or_when_time_is_up(
    make: Callable[..., Policy], low_battery: Rule, handover: Handover, commands: list[Command]
):
    opened = [Reading(time, 50) for time in range(3)]
    seen = follow(make(low_battery, handover=handover), [*opened, *(Reading(t, 20, in_flight=1) for t in (10, 20, 30))])
    assert [one.command for one in seen[3:]] == commands
    assert [one.drop_pending for one in seen[3:]] == [command is Command.SWAP for command in commands]


def test_a_hand_over_that_has_begun_is_finished(make: Callable[..., Policy], low_battery: Rule):
    opened = [Reading(time, 50) for time in range(2)]
    readings = [*opened, Reading(2, 20), Reading(3, 50, ready=False), Reading(4, 50), Reading(5, 50)]
    seen = follow(make(low_battery), readings)[2:]
    assert [(one.variant, one.action) for one in seen] == [
        ("lite", WAIT),
        ("lite", WAIT),
        ("lite", INFER),
        ("full", WAIT),
    ]


def test_a_clock_that_goes_back_stands_still(make: Callable[..., Policy], low_battery: Rule):
    readings = [Reading(5000, 50), Reading(4000, 20), Reading(5900, 20), Reading(6000, 20)]
    seen = settled(make(low_battery, dwell_ms=1000), readings)
    assert [one.variant for one in seen] == ["full", "full", "full", "lite"]
