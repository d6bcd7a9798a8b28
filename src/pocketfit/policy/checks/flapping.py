"""Thresholds that a trembling sensor crosses again and again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pocketfit.policy.checks.finding import Finding, Kind
from pocketfit.policy.condition import Condition
from pocketfit.policy.regions import Box, Space, intersection, is_empty, without
from pocketfit.policy.sensors import RANGES, Sensor

__all__ = ["NOISE", "check_flapping"]

# What a sensor may tremble by while nothing happens: a unit of those that count in few, and of the others what
# differs from one reading to the next on a resting device: 0.6 °C of headroom, a millisecond of inference.
NOISE: Final[Mapping[Sensor, int]] = {
    Sensor.BATTERY_PERCENT: 1,
    Sensor.THERMAL_STATUS: 1,
    Sensor.HEADROOM_PERMILLE: 20,
    Sensor.MEMORY_PRESSURE: 1,
    Sensor.FRAME_US: 1_000,
}


def check_flapping(space: Space) -> Iterator[Finding]:
    """Rules that are left where they are entered, or so close to it that noise is enough."""
    for index, rule in enumerate(space.policy.rules):
        for sensor, condition in rule.when.items():
            if _is_inverted(space, sensor, condition):
                yield _inverted(rule.name, sensor)
            elif sensor in NOISE and any(_matters(space, index, sensor, *step) for step in _steps(sensor, condition)):
                yield _flapping(rule.name, sensor)


def _is_inverted(space: Space, sensor: Sensor, condition: Condition) -> bool:
    axis = next(axis for axis in space.axes if axis.sensor is sensor)
    return bool(axis.covered(condition, entered=False) & ~axis.covered(condition, entered=True))


def _steps(sensor: Sensor, condition: Condition) -> Iterator[tuple[int, int]]:
    """Value at which the rule is entered and value at which it is left, where noise leads from one to the other."""
    enter, stay = condition.enter, condition.stay
    if enter is None or stay is None:
        return
    lowest, highest = RANGES[sensor]
    edges = ((enter.low, stay.low, -1), (enter.high, stay.high, 1))
    for edge, leave, beyond in edges:
        if edge is not None and leave is not None:
            outside = leave + beyond
            if abs(edge - outside) <= NOISE[sensor] and lowest <= min(edge, outside) and max(edge, outside) <= highest:
                yield edge, outside


def _matters(space: Space, index: int, sensor: Sensor, inside: int, outside: int) -> bool:
    """Whether another choice is made outside of the rule than inside, at some reading of the other sensors."""
    rules = space.policy.rules
    boxes = [space.box(rule) for rule in rules]
    followed = without([intersection(boxes[index], _at(space, boxes[index], sensor, inside))], boxes[:index])
    left = [_at(space, box, sensor, outside) for box in followed]
    own = rules[index].then
    for other, rule in enumerate(rules):
        taken = other != index and any(not is_empty(intersection(box, boxes[other])) for box in left)
        if taken and (rule.then.use, rule.then.run) != (own.use, own.run):
            return True
        left = without(left, [boxes[other]]) if other != index else left
    default = space.policy.default
    return bool(left) and (default.use, default.run) != (own.use, own.run)


def _at(space: Space, box: Box, sensor: Sensor, value: int) -> Box:
    """The box with one sensor at one value."""
    return tuple(
        1 << axis.cell_of(value) if axis.sensor is sensor else mask for axis, mask in zip(space.axes, box, strict=True)
    )


def _inverted(rule: str, sensor: Sensor) -> Finding:
    return Finding(
        Kind.INVERTED,
        rule,
        f"it is entered at values of {sensor} at which it is left again, so it comes and goes while nothing changes",
        "leave_below has to be at most at_least, and leave_above at least at_most",
    )


def _flapping(rule: str, sensor: Sensor) -> Finding:
    return Finding(
        Kind.FLAPPING,
        rule,
        f"{sensor} trembles by {NOISE[sensor]}, which is enough to enter and leave it again and again; "
        "nothing but the dwell time slows that down",
        f"set leave_below or leave_above so that more than {NOISE[sensor]} lies between entering and leaving",
    )
