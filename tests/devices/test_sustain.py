import math
from pathlib import Path

import numpy as np
import pytest

from pocketfit.devices.power import active_watts, battery_mwh
from pocketfit.devices.predict.demands import Demand
from pocketfit.devices.predict.predict import ModelNeeds, Prediction, predict
from pocketfit.devices.predict.references import reference_amounts
from pocketfit.devices.profile import Cooling, Profile, Target, all_profiles, find_profile, read_profile, write_profile
from pocketfit.devices.sustain.cooling import cooling_cases
from pocketfit.devices.sustain.heat import LOWEST_CLOCK, Load, duty_cycle, moments
from pocketfit.devices.sustain.sustain import Sustained, Usage, sustain
from pocketfit.errors import OptionError

COOLING = Cooling(resistance_c_per_w=6.0, tau_s=180.0, limit_c=43.0, source="a test")
# Gentle enough for a phone in a room, and too much for it.
GENTLE, HEAVY = Load(10.0, 1.0, 0.9), Load(10.0, 6.0, 0.9)


@pytest.fixture(scope="module")
def phone() -> Profile:
    return find_profile("oneplus-7t")


def on(phone: Profile, threads: int) -> tuple[Prediction, Target]:
    target = next(one for one in phone.targets if one.threads == threads and one.processor == "cpu")
    needs = ModelNeeds((Demand("net", "", "net", reference_amounts("mobilenet_v2"), {}),), 3_500_000, 1_500_000)
    found = next(one for one in predict(needs, phone) if (one.precision, one.threads) == (target.precision, threads))
    return found, target


def sustained(phone: Profile, threads: int = 4, **usage: float) -> Sustained:
    found, target = on(phone, threads)
    return sustain(found, phone, target, Usage(**usage))  # type: ignore[arg-type]


def test_without_a_limit_it_warms_up_as_the_equation_says() -> None:
    cooling = COOLING.model_copy(update={"limit_c": 1000.0})
    for moment in list(moments(HEAVY, cooling, 25.0, 600))[::60]:
        start, end = 25 + 6 * 0.9, 25 + 6 * 6.9
        expected = end + (start - end) * math.exp(-moment.seconds / 180)
        assert moment.temperature_c == pytest.approx(expected)  # solved exactly in each step
        assert moment.clock == 1


def test_a_gentle_load_is_never_slowed_down() -> None:
    assert all(one.clock == 1 and one.ms == 10 for one in moments(GENTLE, COOLING, 25.0, 1800))
    assert duty_cycle(GENTLE, COOLING, 25.0) == 1


def test_a_heavy_one_is_held_at_the_limit() -> None:
    found = list(moments(HEAVY, COOLING, 25.0, 1800))
    assert max(one.temperature_c for one in found) == pytest.approx(43.0)
    assert [one.clock for one in found] == sorted((one.clock for one in found), reverse=True)
    # What the limit leaves: (43 - 25) / 6 watts, of which the rest of the phone takes 0.9.
    assert found[-1].watts == pytest.approx(2.1)
    assert found[-1].ms == pytest.approx(10 * (6 / 2.1) ** (1 / 2.5))


@pytest.mark.parametrize("per_second", [5.0, 30.0, 60.0, 500.0])
def test_with_pauses_the_clock_is_the_highest_that_keeps_the_limit(per_second: float) -> None:
    load = Load(10.0, 6.0, 0.9, per_second)
    clock = load.clock_for(2.1)
    assert load.drawn(clock) <= 2.1 + 1e-9
    assert clock == 1 or load.drawn(clock) == pytest.approx(2.1)
    assert load.drawn(1.0) == pytest.approx(6 * min(1, per_second / 100))


def test_running_for_the_duty_cycle_just_keeps_the_limit() -> None:
    duty = duty_cycle(HEAVY, COOLING, 25.0)
    paused = Load(10.0, 6.0, 0.9, per_second=100 * duty)
    last = list(moments(paused, COOLING, 25.0, 3600))[-1]
    assert last.clock == pytest.approx(1)
    assert last.temperature_c == pytest.approx(43.0, abs=1e-3)  # after twenty time constants


def test_in_air_as_hot_as_the_limit_the_clock_stays_at_its_lowest() -> None:
    last = list(moments(HEAVY, COOLING, 45.0, 1800))[-1]
    assert last.clock == LOWEST_CLOCK
    assert last.temperature_c > 43
    assert duty_cycle(HEAVY, COOLING, 45.0) == 0


def test_more_threads_are_faster_at_first_and_slow_down(phone: Profile) -> None:
    one, four = sustained(phone, 1), sustained(phone, 4)
    assert one.throttled_after_s is None
    assert one.after[-1].ms == one.prediction.latency.ms
    assert four.throttled_after_s is not None
    assert four.after[-1].ms > four.after[0].ms == four.prediction.latency.ms
    assert four.duty_cycle.worst < four.duty_cycle.middling < four.duty_cycle.best
    assert all(point.low_ms < point.ms < point.high_ms for point in four.after)


def test_a_day_adds_up(phone: Profile) -> None:
    # Five inferences a second for ten minutes, six times a day, at full clock: energy is that of each, so many times.
    found = sustained(phone, 1, per_second=5.0)
    assert found.day.inferences == pytest.approx(5 * 600 * 6)
    assert found.day.mwh == pytest.approx(found.day.inferences * found.prediction.energy_mj / 3600)
    full = battery_mwh(phone)
    assert full == pytest.approx(3800 * 3.85)
    assert found.day.battery_percent == pytest.approx(100 * found.day.mwh / full)


def test_slower_cores_draw_less(phone: Profile) -> None:
    # One core at 2.96 GHz and three at 2.42, at 1.6 W for the first.
    assert active_watts(phone, on(phone, 4)[1]) == pytest.approx(1.6 * (1 + 3 * (2.42 / 2.96) ** 2.5))


def test_what_was_measured_goes_before_what_is_assumed(phone: Profile, tmp_path: Path) -> None:
    assert "assumed" in cooling_cases(phone).middling.source
    write_profile(phone.model_copy(update={"cooling": COOLING}), tmp_path / "mine.json")
    mine = read_profile(tmp_path / "mine.json")
    cases = cooling_cases(mine)
    assert cases.middling == cases.best == cases.worst == COOLING
    assert "a test" in sustained(mine).assumptions


def test_every_phone_and_board_can_be_simulated() -> None:
    for profile in all_profiles():
        if profile.kind in ("phone", "board"):
            assert cooling_cases(profile).best.resistance_c_per_w < cooling_cases(profile).worst.resistance_c_per_w
            assert np.all([active_watts(profile, target) > 0 for target in profile.targets])
            assert (battery_mwh(profile) is None) is (profile.kind == "board")
        else:
            with pytest.raises(OptionError, match="cooling"):
                cooling_cases(profile)


@pytest.mark.parametrize(
    ("usage", "message"),
    [({"per_second": 0.0}, "more than nothing"), ({"minutes": -1.0}, "more than"), ({"minutes": 300.0}, "longer than")],
)
def test_impossible_usage_is_refused(usage: dict[str, float], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Usage(**usage)  # type: ignore[arg-type]
