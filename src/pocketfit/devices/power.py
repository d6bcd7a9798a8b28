"""What a device draws: first-order figures by tier and kind, assumed and not measured."""

from __future__ import annotations

from pocketfit.devices.profile import Profile, Target

__all__ = ["BASE_WATTS", "EXPONENT", "active_watts", "battery_mwh"]

EXPONENT = 2.5

# Watts while computing at the highest clock. A big core takes one to two watts there, and an accelerator about two;
# what a phone really takes has to be measured on it. Cores of lower clocks draw less, by the same power of the clock as
# when one is slowed down: capacity times voltage squared times clock, and voltage rises with the clock.
_CORE_WATTS = {"high": 1.6, "mid": 1.0, "low": 0.6}
_ACCELERATOR_WATTS = 2.0
# Watts of all the rest, by kind: a lit screen and a camera, or a board that waits.
BASE_WATTS = {"phone": 0.9, "tablet": 1.5, "board": 2.0}
# Batteries of phones by tier, where the profile does not say; milliampere hours.
_BATTERY_MAH = {"high": 4500.0, "mid": 4000.0, "low": 3500.0}
_CELL_VOLTS = 3.85
_WITH_BATTERY = ("phone", "tablet")


def active_watts(profile: Profile, target: Target) -> float:
    """Watts that a way to run models draws at the highest clock, beside what the device draws without it.

    Threads are taken to run on the fastest cores.
    """
    if target.processor != "cpu":
        return _ACCELERATOR_WATTS
    clocks = sorted((one.ghz for one in profile.clusters for _ in range(one.count)), reverse=True)
    shares = (float((ghz / clocks[0]) ** EXPONENT) for ghz in clocks[: target.threads])
    return _CORE_WATTS[profile.tier] * sum(shares)


def battery_mwh(profile: Profile) -> float | None:
    """Milliwatt hours in the full battery; None for what has none."""
    if profile.kind not in _WITH_BATTERY:
        return None
    return (profile.battery_mah or _BATTERY_MAH[profile.tier]) * _CELL_VOLTS
