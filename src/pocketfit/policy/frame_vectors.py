"""Test vectors for frame schedulers: simulated cameras, the policy's decisions, and what is done at each event.

A file has one case a line; docs/frames.md describes it. The cameras jitter, stall and deliver bursts; inferences are
fast, slow or stuck for a while; random policies leave frames out and hand over; clocks stand still and go back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from random import Random
from typing import Any

from pocketfit.errors import OutputError
from pocketfit.policy.engine import step
from pocketfit.policy.frames import FrameState, Pace, Step, arrive, finish
from pocketfit.policy.state import Action, Command, Decision, State
from pocketfit.policy.vectors import random_case

__all__ = ["COMMITTED_FRAMES", "Event", "FrameCase", "frame_case_from_json", "random_camera", "write_frame_vectors"]

COMMITTED_FRAMES = Path(__file__).parent / "frame_vectors.jsonl"


@dataclass(frozen=True)
class Event:
    """Args:
    time_us: as the clock shows it.
    decision: the policy's for a frame that came; None where an inference ended.
    """

    time_us: int
    decision: Decision | None


@dataclass(frozen=True)
class FrameCase:
    """Args:
    name: unique in its file.
    pace: that is kept.
    events: in their order.
    """

    name: str
    pace: Pace
    events: tuple[Event, ...]

    def replay(self) -> list[tuple[Step, int]]:
        """What the reference does at each event, and the time of an inference it then knows."""
        state, done = FrameState(), []
        for event in self.events:
            state, what = _follow(self.pace, state, event)
            done.append((what, state.frame_us))
        return done


def write_frame_vectors(path: Path, *, count: int, frames: int, seed: int) -> None:
    """Write random cases.

    Args:
        path: of the file.
        count: of the cases.
        frames: of each camera.
        seed: equal seeds give equal files.

    Raises:
        OutputError: the file cannot be written.
    """
    rng = Random(seed)
    lines = (_to_json(random_camera(rng, f"camera-{index}", frames)) + "\n" for index in range(count))
    try:
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(lines)
    except OSError as error:
        raise OutputError(
            f"the vectors cannot be written to {path} ({error.strerror}). Give a file in a folder that can be written"
        ) from error


def frame_case_from_json(text: str) -> tuple[FrameCase, list[tuple[Step, int]]]:
    """A case and what is done in it, from a line that `write_frame_vectors` wrote."""
    data = json.loads(text)
    events = tuple(_event(row) for row in _rows(data["events"]))
    done = [(Step(**row), frame_us) for row, frame_us in zip(_rows(data["steps"]), data["frame_us"], strict=True)]
    return FrameCase(data["name"], Pace(**data["pace"]), events), done


def random_camera(rng: Random, name: str, frames: int) -> FrameCase:
    """A random camera before a random model under a random policy.

    Args:
        rng: decides everything.
        name: of the case.
        frames: that the camera delivers.
    """
    case, pace = random_case(rng, name, frames), _pace(rng)
    slow_us = rng.choice((3_000, 15_000, 40_000, 200_000))
    policy, state, events, done_us = State(), FrameState(), [], None
    for reading, time_us in zip(case.readings, _arrivals(rng, frames), strict=True):
        while done_us is not None and done_us <= time_us:
            events.append(Event(_told(rng, done_us), None))
            state, what = _follow(pace, state, events[-1])
            done_us = done_us + _inference(rng, slow_us) if what.start >= 0 else None
        frame_us = state.frame_us or None
        reading = replace(reading, time_ms=time_us // 1000, in_flight=state.in_flight, frame_us=frame_us)
        policy, decision = step(case.policy, policy, reading)
        events.append(Event(_told(rng, time_us), _discarding(rng, decision)))
        state, what = _follow(pace, state, events[-1])
        done_us = time_us + _inference(rng, slow_us) if what.start >= 0 else done_us
    return FrameCase(name, pace, tuple(events))


def _follow(pace: Pace, state: FrameState, event: Event) -> tuple[FrameState, Step]:
    if event.decision is None:
        return finish(pace, state, event.time_us)
    return arrive(pace, state, event.time_us, event.decision)


def _pace(rng: Random) -> Pace:
    interval_us = rng.choice((0, 16_666, 16_666, 33_333))
    return Pace(interval_us, rng.choice((16_666, 33_333, 100_000)), rng.choice((0, 20_000, 50_000, 2**31 - 1)))


def _arrivals(rng: Random, frames: int) -> Iterator[int]:
    time_us, period_us = rng.choice((0, 2**43)), rng.choice((4_166, 16_667, 33_333))
    burst = 0
    for _ in range(frames):
        burst = burst - 1 if burst else rng.choice((0,) * 15 + (4,))
        stall = 20 * period_us if rng.randrange(25) == 0 else 0
        time_us += rng.randint(0, 300) if burst else stall + rng.randint(period_us * 3 // 4, period_us * 5 // 4)
        yield time_us


def _inference(rng: Random, slow_us: int) -> int:
    """Now and then one that is stuck."""
    return rng.randint(slow_us // 2, slow_us) * (15 if rng.randrange(20) == 0 else 1)


def _told(rng: Random, time_us: int) -> int:
    return max(0, time_us - 5_000) if rng.randrange(30) == 0 else time_us


def _discarding(rng: Random, decision: Decision) -> Decision:
    """Now and then answers are thrown away, which random policies seldom ask for."""
    return decision if rng.randrange(10) else replace(decision, drop_pending=True)


def _to_json(case: FrameCase) -> str:
    done = case.replay()
    steps = [asdict(what) for what, _ in done]
    events = [_flat(event) for event in case.events]
    data = {
        "name": case.name,
        "pace": asdict(case.pace),
        "events": {key: [event[key] for event in events] for key in events[0]},
        "steps": {field.name: [what[field.name] for what in steps] for field in fields(Step)},
        "frame_us": [frame_us for _, frame_us in done],
    }
    return json.dumps(data, separators=(",", ":"))


def _flat(event: Event) -> dict[str, Any]:
    decision = event.decision
    return {
        "time_us": event.time_us,
        "action": decision and decision.action,
        "command": decision and decision.command,
        "drop_pending": decision and decision.drop_pending,
    }


def _event(row: dict[str, Any]) -> Event:
    if row["action"] is None:
        return Event(row["time_us"], None)
    decision = Decision("", "", Action(row["action"]), Command(row["command"]), row["drop_pending"])
    return Event(row["time_us"], decision)


def _rows(columns: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
