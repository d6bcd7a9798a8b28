"""How fast a model stays, how much of the time it may run, and what a day of it costs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pocketfit.devices.power import BASE_WATTS, active_watts, battery_mwh
from pocketfit.devices.predict.predict import Prediction
from pocketfit.devices.profile import Profile, Target
from pocketfit.devices.sustain.cooling import cooling_cases
from pocketfit.devices.sustain.heat import Load, Moment, duty_cycle, moments
from pocketfit.errors import OptionError

__all__ = ["MINUTES", "After", "Day", "Range", "Sustained", "Usage", "sustain"]

# Minutes of load after which latency is told.
MINUTES = (1, 10, 30)
_MINUTES_A_DAY = 24 * 60
_SECONDS_AN_HOUR = 3600


@dataclass(frozen=True)
class Usage:
    """How a model is used.

    Args:
        per_second: inferences; None for one after the other.
        minutes: of one session; the device has cooled down before it.
        sessions: a day.
        ambient_c: temperature of the air.

    Raises:
        OptionError: a figure is not positive, or sessions are longer than a day.
    """

    per_second: float | None = None
    minutes: float = 10.0
    sessions: int = 6
    ambient_c: float = 25.0

    def __post_init__(self) -> None:
        if min(self.minutes, self.sessions, 1.0 if self.per_second is None else self.per_second) <= 0:
            raise OptionError("Inferences a second, minutes and sessions have to be more than nothing.")
        if self.minutes * self.sessions > _MINUTES_A_DAY:
            raise OptionError(
                f"{self.sessions} sessions of {self.minutes:g} minutes are longer than a day. Give fewer, or shorter."
            )


@dataclass(frozen=True)
class Range:
    """A simulated figure, and what it is with the best and the worst of what is assumed."""

    middling: float
    best: float
    worst: float


@dataclass(frozen=True)
class After:
    """The latency after minutes of load.

    Args:
        minutes: of load.
        ms: of one inference.
        low_ms: the low end of the prediction with the best cooling.
        high_ms: the high end with the worst.
        per_second: inferences that are done.
        temperature_c: of the device.
    """

    minutes: int
    ms: float
    low_ms: float
    high_ms: float
    per_second: float
    temperature_c: float


@dataclass(frozen=True)
class Day:
    """What a day of the usage costs.

    Args:
        inferences: that are done.
        mwh: that they draw, without the screen and all else.
        battery_percent: of a full battery; None for what has none.
    """

    inferences: float
    mwh: float
    battery_percent: float | None


@dataclass(frozen=True)
class Sustained:
    """One way to run a model on one device, under load. All of it is simulated.

    Args:
        prediction: cold, before any load.
        after: by minutes of load.
        throttled_after_s: seconds until the clock has to be lowered; None where it never is.
        duty_cycle: share of time, 0..1, that the highest clock may be used for ever.
        day: of the usage.
        watts: of inference at the highest clock.
        curve: the load, second by second.
        assumptions: what the simulation rests on, in sentences.
    """

    prediction: Prediction
    after: tuple[After, ...]
    throttled_after_s: float | None
    duty_cycle: Range
    day: Day
    watts: float
    curve: tuple[Moment, ...]
    assumptions: tuple[str, ...]


def sustain(prediction: Prediction, profile: Profile, target: Target, usage: Usage) -> Sustained:
    """Simulate a predicted model under load.

    Args:
        prediction: of the model.
        profile: of its device.
        target: the way of that device to run models that was predicted.
        usage: of the model.

    Raises:
        OptionError: nothing is known of how the device is cooled.
    """
    cases, estimate = cooling_cases(profile), prediction.latency
    load = Load(estimate.ms, active_watts(profile, target), BASE_WATTS.get(profile.kind, 0.0), usage.per_second)
    seconds, ambient = 60 * max(*MINUTES, usage.minutes), usage.ambient_c
    curve = tuple(moments(load, cases.middling, ambient, seconds))
    best = tuple(moments(replace(load, ms=estimate.low_ms), cases.best, ambient, seconds))
    worst = tuple(moments(replace(load, ms=estimate.high_ms), cases.worst, ambient, seconds))
    duties = (duty_cycle(load, one, ambient) for one in (cases.middling, cases.best, cases.worst))
    return Sustained(
        prediction=prediction,
        after=tuple(_after(minutes, curve, best, worst) for minutes in MINUTES),
        throttled_after_s=next((one.seconds for one in curve if one.clock < 1), None),
        duty_cycle=Range(*duties),
        day=_day(curve, profile, usage),
        watts=load.watts,
        curve=curve,
        assumptions=(cases.middling.source, *_assumptions(profile, load)),
    )


def _after(minutes: int, curve: tuple[Moment, ...], best: tuple[Moment, ...], worst: tuple[Moment, ...]) -> After:
    now = curve[60 * minutes]
    return After(minutes, now.ms, best[60 * minutes].ms, worst[60 * minutes].ms, now.per_second, now.temperature_c)


def _day(curve: tuple[Moment, ...], profile: Profile, usage: Usage) -> Day:
    session = curve[: round(60 * usage.minutes)]
    mwh = usage.sessions * sum(one.watts for one in session) * 1000 / _SECONDS_AN_HOUR
    full = battery_mwh(profile)
    inferences = usage.sessions * sum(one.per_second for one in session)
    return Day(inferences, mwh, None if full is None else 100 * mwh / full)


def _assumptions(profile: Profile, load: Load) -> tuple[str, ...]:
    power = f"{load.watts:.2g} W of inference at the highest clock, {load.base_watts:g} W of all else: by tier, assumed"
    full = battery_mwh(profile)
    if full is None:
        return (power,)
    whose = "its maker's" if profile.battery_mah else f"assumed of the {profile.tier} tier"
    return power, f"a battery of {full / 1000:.1f} Wh: {whose}"
