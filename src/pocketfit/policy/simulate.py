"""What a policy decides over a trace, or over a phone that its decisions heat and drain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from pocketfit.policy.engine import step
from pocketfit.policy.scenarios import Scenario
from pocketfit.policy.sensors import Reading
from pocketfit.policy.spec import Policy
from pocketfit.policy.state import Action, Command, Decision, State

__all__ = ["Frame", "Simulation", "replay", "run_scenario"]

BUSY = frozenset({Action.INFER, Action.WARM_UP})


@dataclass(frozen=True)
class Frame:
    """Args:
    reading: at the frame.
    decision: about it.
    temperature_c: of the simulated phone; None in a trace.
    """

    reading: Reading
    decision: Decision
    temperature_c: float | None = None


@dataclass(frozen=True)
class Simulation:
    """Frame by frame; predicted where the readings come from a simulated phone.

    Args:
        frames: at least one.
        predicted: whether the readings are a model's.
    """

    frames: tuple[Frame, ...]
    predicted: bool

    @property
    def duration_ms(self) -> int:
        """From the first frame to the last."""
        return max(0, self.frames[-1].reading.time_ms - self.frames[0].reading.time_ms)

    @property
    def swaps(self) -> int:
        """Times that another variant took over, the first opening left out."""
        return sum(frame.decision.command is Command.SWAP for frame in self.frames[1:])

    def actions(self) -> Mapping[Action, int]:
        """Frames by what was done with them."""
        counted = Counter(frame.decision.action for frame in self.frames)
        return {action: counted[action] for action in Action}

    def spans(self) -> Iterator[tuple[Frame, int]]:
        """First frame and length in milliseconds of every stretch in which one rule is followed."""
        starts = [self.frames[0]]
        for before, after in pairwise(self.frames):
            if after.decision.rule != before.decision.rule:
                starts.append(after)
        ends = [start.reading.time_ms for start in starts[1:]] + [self.frames[-1].reading.time_ms]
        return ((start, max(0, end - start.reading.time_ms)) for start, end in zip(starts, ends, strict=True))


def replay(policy: Policy, readings: Iterable[Reading]) -> Simulation:
    """Follow a policy over readings that do not depend on what it decides.

    Args:
        policy: that is followed.
        readings: at least one, a frame each.
    """
    state, frames = State(), []
    for reading in readings:
        state, decision = step(policy, state, reading)
        frames.append(Frame(reading, decision))
    return Simulation(tuple(frames), predicted=False)


def run_scenario(policy: Policy, scenario: Scenario) -> Simulation:
    """Follow a policy on a simulated phone: what it decides heats the phone and drains its battery.

    A frame stands for a whole step: while one is inferred the variant draws its power from this frame to the next.
    """
    phone, state, frames = scenario.phone, State(), []
    physical = phone.start(scenario.battery_percent)
    told = Reading(0, charging=False, memory_pressure=0, low_power=False)
    for time_ms in range(0, scenario.duration_ms + 1, scenario.step_ms):
        told = replace(told, time_ms=time_ms, **_changes(scenario, time_ms))
        reading = phone.read(physical, told) if scenario.has_sensors else told
        state, decision = step(policy, state, reading)
        frames.append(Frame(reading, decision, physical.temperature_c))
        power = _power_mw(policy, decision, phone.infer_mw)
        physical = phone.after(physical, scenario.step_ms, power, charging=bool(told.charging))
    return Simulation(tuple(frames), predicted=True)


def _changes(scenario: Scenario, time_ms: int) -> dict[str, Any]:
    """What has happened since the step before."""
    changes: dict[str, Any] = {}
    for event in scenario.events:
        if time_ms - scenario.step_ms < event.at_ms <= time_ms:
            changes |= event.changes
    return changes


def _power_mw(policy: Policy, decision: Decision, otherwise: float) -> float:
    if decision.action not in BUSY:
        return 0.0
    known = policy.variant(decision.variant).power_mw
    return otherwise if known is None else float(known)
