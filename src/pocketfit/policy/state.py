"""What an engine remembers from frame to frame, and what it decides for one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Action", "Command", "Decision", "Phase", "State"]


class Phase(StrEnum):
    """Where the hand-over from one variant to another stands."""

    STEADY = "steady"
    DRAINING = "draining"
    LOADING = "loading"
    WARMING = "warming"


class Action(StrEnum):
    """What is done with a frame.

    INFER runs the variant and uses its answer; SKIP leaves the frame out, the last answer stays; WAIT is the same while
    a variant is drained or loaded; WARM_UP runs the variant and does not use its answer.
    """

    INFER = "infer"
    SKIP = "skip"
    WAIT = "wait"
    WARM_UP = "warm_up"


class Command(StrEnum):
    """What the app does before it looks at the action.

    DRAIN hands the old variant no more frames; SWAP closes it and opens the new one.
    """

    NONE = "none"
    DRAIN = "drain"
    SWAP = "swap"


@dataclass(frozen=True)
class State:
    """All that a decision depends on besides the reading; the defaults are the state before the first frame.

    Args:
        now_ms: latest time seen.
        since_ms: when the present choice was made.
        anchor_ms: where the periods of its duty cycle begin.
        latched: bit i says that rule i holds.
        rule: index of the rule that is followed; the number of rules for the default, -1 before the first frame.
        variant: index of the variant that frames go to; -1 for none yet.
        phase: of the hand-over.
        warm_ups: frames still to be run for warming up.
        frames: counted within the on-time of the duty cycle, modulo its `every`.
    """

    now_ms: int = 0
    since_ms: int = 0
    anchor_ms: int = 0
    latched: int = 0
    rule: int = -1
    variant: int = -1
    phase: Phase = Phase.STEADY
    warm_ups: int = 0
    frames: int = 0


@dataclass(frozen=True)
class Decision:
    """For one frame.

    Args:
        rule: name of the rule that is followed, or "default".
        variant: name of the variant that the frame goes to, or is to be opened; empty for none.
        action: what is done with the frame.
        command: what is done before.
        drop_pending: whether answers to frames under way are to be thrown away; with SWAP alone.
        reset: whether what the app keeps from frame to frame begins anew; with SWAP alone.
    """

    rule: str
    variant: str
    action: Action
    command: Command = Command.NONE
    drop_pending: bool = False
    reset: bool = False
