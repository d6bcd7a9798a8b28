"""Networks that ncnn's `benchncnn` times on any phone, and what they ask for: a measurement without a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources

from pocketfit.errors import OptionError

__all__ = ["PREFIX", "reference_amounts", "references"]

PREFIX = "benchncnn:"


@cache
def references() -> Mapping[str, Mapping[str, float]]:
    """Units of work by kind, by the name that `benchncnn` prints."""
    text = (resources.files("pocketfit.devices.predict") / "references.json").read_text()
    found: Mapping[str, Mapping[str, float]] = json.loads(text)
    return found


def reference_amounts(name: str) -> Mapping[str, float]:
    """What a network asks for.

    Args:
        name: with `PREFIX` before it.

    Raises:
        OptionError: there is no such network.
    """
    known = references()
    short = name.removeprefix(PREFIX)
    if short not in known:
        raise OptionError(f"{name} is none of benchncnn's networks. There are: {', '.join(known)}.")
    return known[short]
