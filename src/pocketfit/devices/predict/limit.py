"""The limit on latency: how it is written, and what it is about."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pocketfit.devices.profile import Profile, find_profile
from pocketfit.errors import OptionError

__all__ = ["LatencyLimit", "parse_latency"]

_LATENCY = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*ms(?:@(.+))?", re.IGNORECASE)


@dataclass(frozen=True)
class LatencyLimit:
    """What one inference may take.

    Args:
        ms: milliseconds, above 0.
        device: profile that latency is predicted for; None where it is measured on the host, on one thread.
    """

    ms: float
    device: Profile | None = None


def parse_latency(text: str) -> LatencyLimit:
    """Read `--latency`.

    Args:
        text: `30ms` for this host, `30ms@xiaomi-mi-11` for a phone that `pocketfit devices` lists, or its .json file.

    Raises:
        OptionError: for anything else.
    """
    match = _LATENCY.fullmatch(text.strip())
    if match is None or float(match[1]) <= 0:
        raise OptionError(
            f"--latency {text!r} is not a latency. Allowed are milliseconds above 0, of this host (30ms) or of a phone "
            "(30ms@DEVICE, from `pocketfit devices`). Write for example --latency 30ms@xiaomi-mi-11."
        )
    return LatencyLimit(float(match[1]), find_profile(match[2]) if match[2] else None)
