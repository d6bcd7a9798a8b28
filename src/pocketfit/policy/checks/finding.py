"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Kind"]


class Kind(StrEnum):
    """What is wrong; docs/policy.md explains each."""

    CONTRADICTION = "contradiction"
    UNREACHABLE = "unreachable"
    INVERTED = "inverted"
    FLAPPING = "flapping"
    OSCILLATION = "oscillation"
    UNDECIDED = "undecided"
    GAP = "gap"
    UNKNOWN = "unknown-sensor"
    NO_ARTIFACT = "no-artifact"
    UNUSED = "unused-variant"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or that the author should know.

    Args:
        kind: of it.
        rule: name of the rule, or "default"; several are joined by commas.
        message: what is the case.
        remedy: what to do.
        is_fault: False for what may well be meant.
    """

    kind: Kind
    rule: str
    message: str
    remedy: str
    is_fault: bool = True
