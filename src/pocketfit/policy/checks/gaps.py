"""Readings that no rule covers although rules cover those on both sides, and sensors that may be silent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

from pocketfit.policy.checks.finding import Finding, Kind
from pocketfit.policy.regions import Box, Space, intersection, is_empty, runs_of, without
from pocketfit.policy.sensors import Sensor
from pocketfit.policy.spec import DEFAULT, Choice

__all__ = ["check_gaps"]

# What a policy protects: when one of these is silent, its rules are silent as well.
PROTECTING = (Sensor.BATTERY_PERCENT, Sensor.THERMAL_STATUS, Sensor.HEADROOM_PERMILLE)

# Index of the axis, of the rule below and of the rule above.
_Sides = tuple[int, int, int]


def check_gaps(space: Space) -> Iterator[Finding]:
    """Holes between rules, and protecting sensors whose silence no rule minds."""
    boxes = [space.box(rule) for rule in space.policy.rules]
    holes: dict[_Sides, int] = {}
    for hole in without([space.everything], boxes):
        for sides, cells in _sides(space, hole, boxes):
            holes[sides] = holes.get(sides, 0) | cells
    for sides, cells in holes.items():
        yield _gap(space, *sides, cells)
    yield from _silent(space)


def _sides(space: Space, hole: Box, boxes: list[Box]) -> Iterator[tuple[_Sides, int]]:
    """Along each axis the nearest rules below and above a hole, with nothing else different, and the hole's cells."""
    for index, axis in enumerate(space.axes):
        if not axis.is_ordered:
            continue
        for first, last in runs_of(axis.cells(hole[index])):
            run = (2 << last) - (1 << first)
            below = _beside(hole, boxes, index, (1 << first) - 1, lambda cells: -cells)
            above = _beside(hole, boxes, index, axis.unknown - (2 << last), lambda cells: cells & -cells)
            pair = next((pair for pair in product(below, above) if _share(hole, boxes, index, *pair)), None)
            if pair is not None:
                yield (index, *pair), run


def _beside(hole: Box, boxes: list[Box], index: int, side: int, distance: Callable[[int], int]) -> list[int]:
    """The rules that hold on that side of a hole where the other sensors say the same, the nearest first."""
    there = [
        (distance(cells), number)
        for number, box in enumerate(boxes)
        if (cells := box[index] & side) and _share(hole, boxes, index, number)
    ]
    return [number for _, number in sorted(there)]


def _share(hole: Box, boxes: list[Box], index: int, *numbers: int) -> bool:
    """Whether hole and rules have readings in common, one sensor left aside."""
    shared = hole
    for number in numbers:
        shared = intersection(shared, boxes[number])
    return not is_empty((*shared[:index], *shared[index + 1 :]))


def _gap(space: Space, axis: int, below: int, above: int, mask: int) -> Finding:
    policy = space.policy
    lower, upper = policy.rules[below], policy.rules[above]
    same = _does(lower.then) == _does(upper.then) != _does(policy.default)
    return Finding(
        Kind.GAP,
        lower.name if below == above else f"{lower.name}, {upper.name}",
        f"no rule holds at {space.axes[axis].describe(mask)}, between {lower.name} below and {upper.name} above; "
        f"the default, {policy.default.use}, is followed there",
        "close the gap between their thresholds, unless the default is meant there",
        is_fault=same,
    )


def _does(choice: Choice) -> tuple[object, object]:
    return choice.use, choice.run


def _silent(space: Space) -> Iterator[Finding]:
    for sensor in PROTECTING:
        readers = [rule for rule in space.policy.rules if sensor in rule.when]
        if readers and not any(rule.when[sensor].unknown for rule in readers):
            yield Finding(
                Kind.UNKNOWN,
                ", ".join(rule.name for rule in readers),
                f"when {sensor} is not known, none of them holds",
                f'add a rule with {{"{sensor}": {{"unknown": true}}}} unless {DEFAULT} is safe then',
                is_fault=False,
            )
