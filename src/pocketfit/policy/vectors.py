"""Test vectors: policies, readings and what the reference engine decides, for engines in other languages to replay.

A file has one case a line, each a JSON object; docs/policy.md describes it. The readings make sensors fall silent and
leave their ranges, the clock stand still and go back, and hand-overs take their time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from random import Random
from typing import Any

from pocketfit.errors import OutputError
from pocketfit.policy.condition import Condition
from pocketfit.policy.default import default_policy
from pocketfit.policy.engine import step
from pocketfit.policy.json_form import policy_from_json, policy_to_json
from pocketfit.policy.sensors import FLAGS, RANGES, Reading, Sensor
from pocketfit.policy.spec import ArtifactRef, Choice, Handover, Pending, Policy, Rule, Run, Variant
from pocketfit.policy.state import Decision, State
from pocketfit.types import Precision

__all__ = ["COMMITTED", "Case", "case_from_json", "decide", "random_case", "write_vectors"]

COMMITTED = Path(__file__).parent / "vectors.jsonl"

SCENES = ("indoor", "high-security", "night")
# Frame times and headroom have long ranges; numbers worth trying lie within the first of them.
INTERESTING = {Sensor.HEADROOM_PERMILLE: 1_200, Sensor.FRAME_US: 80_000}
SILENT_ONE_IN = 12


@dataclass(frozen=True)
class Case:
    """Args:
    name: unique in its file.
    policy: that is followed.
    readings: a frame each.
    """

    name: str
    policy: Policy
    readings: tuple[Reading, ...]


def decide(case: Case) -> list[Decision]:
    """What the reference engine decides, frame by frame."""
    state, decisions = State(), []
    for reading in case.readings:
        state, decision = step(case.policy, state, reading)
        decisions.append(decision)
    return decisions


def write_vectors(path: Path, *, count: int, frames: int, seed: int) -> None:
    """Write the default policy's case and random ones.

    Args:
        path: of the file.
        count: of the random cases.
        frames: of each case.
        seed: equal seeds give equal files.

    Raises:
        OutputError: the file cannot be written.
    """
    rng = Random(seed)
    try:
        with path.open("w", encoding="utf-8", newline="\n") as file:
            for case in _cases(rng, count, frames):
                file.write(_to_json(case) + "\n")
    except OSError as error:
        raise OutputError(
            f"the vectors cannot be written to {path} ({error.strerror}). Give a file in a folder that can be written"
        ) from error


def case_from_json(text: str) -> tuple[Case, list[Decision]]:
    """A case and its decisions from a line that `write_vectors` wrote."""
    data = json.loads(text)
    readings = tuple(Reading(**reading) for reading in _rows(data["readings"]))
    decisions = [Decision(**decision) for decision in _rows(data["decisions"])]
    return Case(data["name"], policy_from_json(json.dumps(data["policy"])), readings), decisions


def random_case(rng: Random, name: str, frames: int) -> Case:
    """A random policy and readings that wander about its thresholds.

    Args:
        rng: decides everything.
        name: of the case.
        frames: number of readings.
    """
    return Case(name, _policy(rng), tuple(_readings(rng, frames)))


def _cases(rng: Random, count: int, frames: int) -> Iterator[Case]:
    yield Case("default", default_policy([ArtifactRef("litert", Precision.INT8)]), tuple(_readings(rng, frames)))
    for index in range(count):
        yield random_case(rng, f"random-{index}", frames)


def _to_json(case: Case) -> str:
    decisions = decide(case)
    data = {
        "name": case.name,
        "policy": json.loads(policy_to_json(case.policy)),
        "readings": _columns(case.readings),
        "decisions": _columns(decisions),
    }
    return json.dumps(data, separators=(",", ":"))


def _columns(rows: Sequence[Reading] | Sequence[Decision]) -> dict[str, list[Any]]:
    dicts = [asdict(row) for row in rows]
    return {field.name: [row[field.name] for row in dicts] for field in fields(rows[0])}


def _rows(columns: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))


def _policy(rng: Random) -> Policy:
    names = [f"v{index}" for index in range(rng.randint(1, 4))]
    return Policy(
        variants=tuple(Variant(name, (ArtifactRef("litert", Precision.INT8),)) for name in names),
        default=_choice(rng, names),
        rules=tuple(_rule(rng, f"r{index}", names) for index in range(rng.randint(0, 6))),
        dwell_ms=rng.choice((0, 100, 1_000, 5_000)),
        handover=Handover(
            pending=rng.choice((Pending.FINISH, Pending.DROP)),
            drain_ms=rng.choice((0, 50, 500)),
            warmup_frames=rng.randint(0, 3),
            state=rng.choice(("keep", "reset")),
        ),
    )


def _rule(rng: Random, name: str, variants: Sequence[str]) -> Rule:
    sensors = rng.sample(list(Sensor), rng.choice((1, 1, 1, 2, 2, 3)))
    when = {sensor: _condition(rng, sensor) for sensor in sensors}
    return Rule(name, when, _choice(rng, variants), urgent=rng.randrange(4) == 0)


def _choice(rng: Random, variants: Sequence[str]) -> Choice:
    period = rng.choice((1, 100, 330, 1_000))
    run = rng.choice((Run(), Run(every=rng.randint(1, 5)), Run(rng.randint(1, 3), rng.randint(0, period), period)))
    return Choice(rng.choice(variants), run, dwell_ms=rng.choice((None, None, 0, 700)))


def _condition(rng: Random, sensor: Sensor) -> Condition:
    unknown = rng.randrange(4) == 0
    if unknown and rng.randrange(4) == 0:
        return Condition(unknown=True)
    if sensor is Sensor.SCENE:
        return Condition(any_of=tuple(rng.sample(SCENES, rng.randint(1, 2))), unknown=unknown)
    if sensor in FLAGS:
        return Condition(equals=rng.random() < 0.5, unknown=unknown)
    return _thresholds(rng, _top(sensor), unknown=unknown)


def _thresholds(rng: Random, top: int, *, unknown: bool) -> Condition:
    """Now and then inverted or contradictory ones: an engine has to follow them all the same."""
    low, high = sorted((rng.randint(0, top), rng.randint(0, top)))
    margin = max(1, top // 10)
    below = rng.choice((None, low - margin, low - 1, low, low + 1))
    above = rng.choice((None, high + margin, high + 1, high, high - 1))
    return rng.choice(
        (
            Condition(at_least=low, leave_below=below, unknown=unknown),
            Condition(at_most=high, leave_above=above, unknown=unknown),
            Condition(at_least=low, leave_below=below, at_most=high, leave_above=above, unknown=unknown),
        )
    )


def _top(sensor: Sensor) -> int:
    return INTERESTING.get(sensor, RANGES[sensor][1])


def _readings(rng: Random, frames: int) -> Iterator[Reading]:
    values: dict[Sensor, int] = {sensor: rng.randint(0, _top(sensor)) for sensor in RANGES}
    time_ms, pace_ms = rng.choice((0, 2**40)), rng.choice((16, 33, 250, 1_000))
    for _ in range(frames):
        time_ms += rng.choice((pace_ms, pace_ms, pace_ms, 0, 5 * pace_ms, -pace_ms))
        for sensor in values:
            values[sensor] = _wander(rng, sensor, values[sensor])
        known: dict[str, Any] = {str(sensor): _told(rng, sensor, value) for sensor, value in values.items()}
        scene = rng.choice((None, *SCENES, "elsewhere"))
        in_flight, ready = rng.choice((0, 0, 1, 2)), rng.random() < 0.8
        yield Reading(max(0, time_ms), **known, scene=scene, in_flight=in_flight, ready=ready)


def _wander(rng: Random, sensor: Sensor, value: int) -> int:
    top = _top(sensor)
    stride = max(1, top // 8)
    return min(max(value + rng.randint(-stride, stride), 0), top)


def _told(rng: Random, sensor: Sensor, value: int) -> int | bool | None:
    """Mostly the value; now and then nothing, or for a number one outside of its range."""
    if rng.randrange(SILENT_ONE_IN) == 0:
        return None if sensor in FLAGS or rng.random() < 0.5 else rng.choice((-1, RANGES[sensor][1] + 1))
    return bool(value) if sensor in FLAGS else value
