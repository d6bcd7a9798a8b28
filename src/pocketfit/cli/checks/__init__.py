"""What `pocketfit doctor` looks at: the host, and the packages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Check", "State"]

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Check:
    """One finding.

    Args:
        name: what was looked at.
        found: what was found.
        state: ok; a warning when something will be slower or is not to be had; a problem when runs will fail.
        why: why that matters; empty when ok.
        to_do: what to do about it; empty when ok.
    """

    name: str
    found: str
    state: State = "ok"
    why: str = ""
    to_do: str = ""
