"""Traces from files, and policies on the simulated phone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pocketfit.errors import DataError
from pocketfit.policy import Action, Choice, Condition, Policy, Reading, Rule, Sensor, Variant, default_policy
from pocketfit.policy.phone import Phone
from pocketfit.policy.scenarios import SCENARIOS
from pocketfit.policy.simulate import replay, run_scenario
from pocketfit.policy.trace import read_trace

READINGS = (Reading(0, 50, charging=False, scene="indoor"), Reading(1000, None, thermal_status=2), Reading(2500))


def test_the_same_trace_as_csv_and_as_json_lines(tmp_path: Path):
    table, lines = tmp_path / "trace.csv", tmp_path / "trace.jsonl"
    table.write_text("time_ms,battery_percent,charging,thermal_status,scene\n0,50,false,,indoor\n1000,,,2,\n2500,,,,\n")
    lines.write_text(
        '{"time_ms": 0, "battery_percent": 50, "charging": false, "scene": "indoor"}\n\n'
        '{"time_ms": 1000, "thermal_status": 2}\n{"time_ms": 2500, "battery_percent": null}\n'
    )
    assert read_trace(table) == read_trace(lines) == READINGS


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("trace.csv", "time_ms\n", "no reading"),
        ("trace.csv", "battery_percent\n5\n", "time_ms"),
        ("trace.csv", "time_ms,colour\n0,1\n", "line 2, is not valid at colour"),
        ("trace.csv", "time_ms\nsoon\n", "line 2, is not valid at time_ms"),
        ("trace.csv", "time_ms\n1,2\n", "a cell without a title"),
        ("trace.jsonl", '{"time_ms": 0}\n{"time_ms": "0"}\n', "line 2, is not valid at time_ms"),
        ("trace.jsonl", "nonsense\n", "line 1, is not valid"),
        ("trace.jsonl", "", "no reading"),
    ],
)
def test_a_trace_that_is_not_valid_says_where(tmp_path: Path, name: str, text: str, told: str):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=told):
        read_trace(tmp_path / name)


def test_a_trace_that_is_not_there_or_no_text(tmp_path: Path):
    with pytest.raises(DataError, match="cannot be read"):
        read_trace(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read"):
        read_trace(tmp_path / "bytes.csv")


def test_a_replay_counts_stretches_swaps_and_actions(make: Callable[..., Policy], low_battery: Rule):
    batteries = [50, 50, 50, 20, 20, 50, 50]
    simulation = replay(make(low_battery), [Reading(1000 * index, value) for index, value in enumerate(batteries)])
    assert [(frame.decision.rule, length) for frame, length in simulation.spans()] == [
        ("default", 3000),
        ("low", 2000),
        ("default", 1000),
    ]
    assert (simulation.swaps, simulation.duration_ms) == (2, 6000)
    assert simulation.actions() == {Action.INFER: 4, Action.SKIP: 0, Action.WAIT: 3, Action.WARM_UP: 0}


def test_the_phone_comes_to_rest_where_its_power_says():
    phone = Phone(ambient_c=20.0, resistance_c_per_w=10.0, idle_mw=1000.0, tau_s=60.0)
    state = phone.start(100)
    assert state.temperature_c == pytest.approx(30.0)
    after = phone.after(state, 60_000, 2000.0, charging=False)
    # One time constant on the way from 30 to 50 degrees.
    assert after.temperature_c == pytest.approx(50.0 - 20.0 / 2.718281828)
    assert state.energy_mwh - after.energy_mwh == pytest.approx(3000.0 / 60)
    # The exact solution does not depend on how a time is cut into steps.
    cut = state
    for _ in range(60):
        cut = phone.after(cut, 1000, 2000.0, charging=False)
    assert cut.temperature_c == pytest.approx(after.temperature_c)


def test_a_battery_is_never_below_empty_nor_above_full():
    phone = Phone()
    assert phone.after(phone.start(0), 3_600_000, 0.0, charging=False).energy_mwh == 0.0
    assert phone.after(phone.start(100), 3_600_000, 0.0, charging=True).energy_mwh == phone.capacity_mwh


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_the_default_policy_lives_through_every_scenario(name: str):
    simulation = run_scenario(default_policy(), replace(SCENARIOS[name], step_ms=10_000))
    assert simulation.predicted
    assert simulation.duration_ms == SCENARIOS[name].duration_ms
    assert simulation.actions()[Action.INFER] > 0


def test_events_are_told_and_silent_sensors_are_silent():
    secure = [frame for frame in run_scenario(default_policy(), SCENARIOS["scenes"]).frames if frame.reading.scene]
    assert (secure[0].reading.time_ms, secure[-1].reading.time_ms) == (300_000, 599_000)
    frames = run_scenario(default_policy(), SCENARIOS["no-sensors"]).frames
    assert {frame.decision.rule for frame in frames} == {"no-thermal-sensor"}


def test_a_lighter_variant_keeps_the_phone_cooler(variants: tuple[Variant, ...]):
    """What the closed loop is for: the decision changes the temperature that the next one is made from."""
    heavy, light = replace(variants[0], power_mw=3500), replace(variants[1], power_mw=800)
    hot = Rule("hot", {Sensor.HEADROOM_PERMILLE: Condition(at_least=900, leave_below=800)}, Choice("lite"))
    scenario = replace(SCENARIOS["camera"], step_ms=5_000)
    with_rule = run_scenario(Policy((heavy, light), Choice("full"), (hot,)), scenario)
    without = run_scenario(Policy((heavy, light), Choice("full")), scenario)
    hottest, hotter = (max(frame.temperature_c or 0.0 for frame in one.frames) for one in (with_rule, without))
    assert (
        hottest < hotter - 5
    )  # 900 per mille is three degrees below severe; the heavy variant alone settles well above
    assert with_rule.swaps > 0 == without.swaps
