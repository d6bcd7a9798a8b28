"""How devices shed heat: what a profile says, else what is assumed of its tier, with the range of that."""

from __future__ import annotations

from dataclasses import dataclass

from pocketfit.devices.profile import Cooling, Profile
from pocketfit.errors import OptionError

__all__ = ["Cases", "cooling_cases"]

# Degrees per watt. Phones lie between 5 and 10: large ones with a plate or chamber that spreads heat at the lower end.
_PHONE_RESISTANCE = {"high": 6.0, "mid": 7.0, "low": 8.0}
_TABLET_SHARE = 0.6  # of a phone's resistance: three times the surface, but unevenly warm
_PHONE_TAU_S, _PHONE_LIMIT_C = 180.0, 43.0
# A bare board with its chip at 80 degrees, where Raspberry Pi's firmware begins to lower clocks.
_BOARD_RESISTANCE, _BOARD_TAU_S, _BOARD_LIMIT_C = 9.0, 200.0, 80.0
# From the best to the worst of what is assumed.
_BETTER, _WORSE = 0.75, 1.3


@dataclass(frozen=True)
class Cases:
    """Args:
    middling: what is simulated.
    best: the same device, as well cooled as it may be; the same where the profile says how it is.
    worst: likewise.
    """

    middling: Cooling
    best: Cooling
    worst: Cooling


def cooling_cases(profile: Profile) -> Cases:
    """The profile's own cooling, else that of its kind and tier with its range.

    Raises:
        OptionError: nothing is known of how such a device is cooled.
    """
    if profile.cooling is not None:
        return Cases(profile.cooling, profile.cooling, profile.cooling)
    middling = _assumed(profile)
    return Cases(middling, _scaled(middling, _BETTER), _scaled(middling, _WORSE))


def _assumed(profile: Profile) -> Cooling:
    if profile.kind not in ("phone", "tablet", "board"):
        raise OptionError(
            f"{profile.name} is a {profile.kind}: fans or its surroundings cool it, and nothing is known of them. "
            "Write `cooling` into a profile of your own (docs/sustained.md), or give a phone, tablet or board."
        )
    if profile.kind == "board":
        resistance, tau, limit = _BOARD_RESISTANCE, _BOARD_TAU_S, _BOARD_LIMIT_C
    else:
        share = _TABLET_SHARE if profile.kind == "tablet" else 1.0
        resistance, tau, limit = _PHONE_RESISTANCE[profile.tier] * share, _PHONE_TAU_S, _PHONE_LIMIT_C
    source = f"assumed of a {profile.kind} of the {profile.tier} tier, measured on none"
    return Cooling(resistance_c_per_w=resistance, tau_s=tau, limit_c=limit, source=source)


def _scaled(cooling: Cooling, times: float) -> Cooling:
    """What sheds heat badly also holds less of it before it is hot."""
    return cooling.model_copy(
        update={"resistance_c_per_w": cooling.resistance_c_per_w * times, "tau_s": cooling.tau_s / times}
    )
