"""Which camera frames a model runs: drop, do not queue; the latest frame wins.

Two pure functions, `arrive` and `finish`, from state and event to the next state and what to do. Times are given, in
whole microseconds, so that every language decides alike; docs/frames.md says the same in words.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from pocketfit.errors import InputError
from pocketfit.policy.state import Action, Command, Decision

__all__ = ["BUFFERS", "EVERY_FRAME", "FrameState", "Held", "Outcome", "Pace", "Step", "arrive", "finish"]

# One that the camera fills, one that waits, one that is run.
BUFFERS = 3
SIXTY_FPS_US = 16_666
MOST_US = 2**31 - 1
EVERY_FRAME = Decision("", "", Action.INFER)


class Outcome(StrEnum):
    """What becomes of a frame that came, or of an answer.

    Of a frame: START, it is run now; KEEP, it waits for the one that is run; SKIP, the policy leaves it out; EARLY, the
    camera is faster than the pace. Of an answer: USE; WARM_UP and DISCARD, it is thrown away.
    """

    START = "start"
    KEEP = "keep"
    SKIP = "skip"
    EARLY = "early"
    USE = "use"
    WARM_UP = "warm_up"
    DISCARD = "discard"


@dataclass(frozen=True)
class Pace:
    """Args, all in microseconds:

    interval_us: frames are taken at most this often in the long run; 0 takes all.
    budget_us: from a frame's arrival to its answer; an answer behind that is late.
    stale_us: a frame that has waited longer is not run any more.

    Raises:
        InputError: a number is out of range.
    """

    interval_us: int = SIXTY_FPS_US
    budget_us: int = SIXTY_FPS_US
    stale_us: int = 3 * SIXTY_FPS_US

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value <= MOST_US:
                raise InputError(f"{name} is {value}; allowed are 0 to {MOST_US}.")


@dataclass(frozen=True)
class Held:
    """A frame that waits or is run.

    Args:
        frame: its number; the first is 0, and every frame that comes is counted.
        arrived_us: when it came.
        buffer: that holds its pixels, 0..2.
        since_us: when it was started.
        warm_up: whether its answer is not to be used.
        discard: whether a hand-over has made its answer worthless.
    """

    frame: int
    arrived_us: int
    buffer: int
    since_us: int = 0
    warm_up: bool = False
    discard: bool = False


@dataclass(frozen=True)
class FrameState:
    """All that a decision depends on; the defaults are the state before the first frame.

    Args:
        now_us: latest time seen.
        due_us: when the next frame is expected by the pace.
        seen: frames that came so far.
        running: the frame that the model has.
        waiting: the latest frame that came since.
        owed: warm-ups that the policy asked for and that are still to be run.
        frame_us: time of an inference at present, for the policy's reading; 0 is unknown.
        fresh: whether the next answer is the first of its variant.
        fill: buffer that the camera writes the next frame to. It stays when an inference ends: the camera is at it.
    """

    now_us: int = 0
    due_us: int = 0
    seen: int = 0
    running: Held | None = None
    waiting: Held | None = None
    owed: int = 0
    frame_us: int = 0
    fresh: bool = True
    fill: int = 0

    @property
    def in_flight(self) -> int:
        """Frames that the variant has taken and not yet answered, for the policy's reading."""
        return int(self.running is not None)


@dataclass(frozen=True)
class Step:
    """What to do after an event.

    Args:
        outcome: what becomes of the frame or of the answer.
        start: number of the frame to run now; -1 for none.
        buffer: that holds it; -1 for none.
        warm_up: whether that is a warm-up.
        displaced: number of a waiting frame that is dropped; -1 for none.
        late: whether an answer took longer than the budget.
        fill: buffer for the camera's next frame.
    """

    outcome: Outcome
    start: int = -1
    buffer: int = -1
    warm_up: bool = False
    displaced: int = -1
    late: bool = False
    fill: int = 0


def arrive(pace: Pace, state: FrameState, now_us: int, decision: Decision = EVERY_FRAME) -> tuple[FrameState, Step]:
    """A frame came, in the buffer `state.fill`.

    Args:
        pace: of the camera stream.
        state: after the event before; `FrameState()` at the first.
        now_us: time of a clock that does not go back.
        decision: the policy's for this frame.

    Returns:
        The next state and what to do.
    """
    frame = state.seen
    state = replace(state, now_us=max(state.now_us, now_us), seen=frame + 1)
    state, flushed = _obey(state, decision)
    if decision.action not in (Action.INFER, Action.WARM_UP):
        return state, Step(Outcome.SKIP, displaced=flushed, fill=state.fill)
    if 2 * (state.due_us - state.now_us) > pace.interval_us:
        return state, Step(Outcome.EARLY, displaced=flushed, fill=state.fill)
    state = replace(state, due_us=max(state.due_us, state.now_us) + pace.interval_us)
    held = Held(frame, state.now_us, state.fill)
    if state.running is None:
        return _start(replace(state, fill=_free(held, None)), held, Outcome.START)
    displaced = state.waiting.frame if state.waiting else -1
    state = replace(state, waiting=held, fill=_free(held, state.running))
    return state, Step(Outcome.KEEP, displaced=displaced, fill=state.fill)


def finish(pace: Pace, state: FrameState, now_us: int) -> tuple[FrameState, Step]:
    """The model has answered.

    Args:
        pace: of the camera stream.
        state: after the event before.
        now_us: time of a clock that does not go back.

    Returns:
        The next state, and what to do with the answer and next.

    Raises:
        InputError: no frame is run.
    """
    done, waiting = state.running, state.waiting
    if done is None:
        raise InputError("no frame is run, so none can be finished; call finish once for every start.")
    state = replace(state, now_us=max(state.now_us, now_us))
    outcome, late = _outcome(done), state.now_us - done.arrived_us > pace.budget_us
    if outcome is Outcome.USE:
        state = _timed(state, min(state.now_us - done.since_us, MOST_US))
    state = replace(state, running=None, waiting=None)
    if waiting is None:
        return state, Step(outcome, late=late, fill=state.fill)
    if state.now_us - waiting.arrived_us > pace.stale_us:
        return state, Step(outcome, displaced=waiting.frame, late=late, fill=state.fill)
    return _start(state, waiting, outcome, late=late)


def _obey(state: FrameState, decision: Decision) -> tuple[FrameState, int]:
    """What the policy says about frames before this one; also which waiting frame that drops."""
    if decision.action is Action.WARM_UP:
        state = replace(state, owed=state.owed + 1)
    if decision.command is Command.SWAP:
        state = replace(state, owed=0, fresh=True)
    if decision.drop_pending and state.running:
        state = replace(state, running=replace(state.running, discard=True))
    if decision.action is not Action.WAIT or state.waiting is None:
        return state, -1
    return replace(state, waiting=None), state.waiting.frame


def _free(came: Held, running: Held | None) -> int:
    """The first buffer that holds neither the frame that came nor the one that is run."""
    return next(buffer for buffer in range(BUFFERS) if buffer not in (came.buffer, running and running.buffer))


def _start(state: FrameState, held: Held, outcome: Outcome, *, late: bool = False) -> tuple[FrameState, Step]:
    warm_up = state.owed > 0
    held = replace(held, since_us=state.now_us, warm_up=warm_up)
    state = replace(state, running=held, owed=state.owed - warm_up)
    return state, Step(outcome, held.frame, held.buffer, warm_up, late=late, fill=state.fill)


def _outcome(done: Held) -> Outcome:
    if done.discard:
        return Outcome.DISCARD
    return Outcome.WARM_UP if done.warm_up else Outcome.USE


def _timed(state: FrameState, took_us: int) -> FrameState:
    """A moving average over about eight answers, which a new variant begins anew."""
    frame_us = took_us if state.fresh else (7 * state.frame_us + took_us) // 8
    return replace(state, frame_us=frame_us, fresh=False)
