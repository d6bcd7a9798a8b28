"""Sets of readings, exactly: what a rule's conditions cover, and what is left of it without others.

Between two thresholds no condition tells values apart. So each sensor's range is cut at all the thresholds of a policy
into few cells, unknown being one more, and a set of values is a set of cells. A box is one such set for each sensor;
what rules cover are boxes, and one box without another is a few boxes again. Nothing is sampled.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from pocketfit.policy.condition import Condition
from pocketfit.policy.sensors import FLAGS, RANGES, Sensor
from pocketfit.policy.spec import Policy, Rule

__all__ = ["Axis", "Box", "Space", "intersection", "is_empty", "runs_of", "without"]

# One bit mask of cells per axis of a space.
Box = tuple[int, ...]


@dataclass(frozen=True)
class Axis:
    """A sensor's values in cells.

    Args:
        sensor: whose.
        firsts: least value of each cell, upwards; the tags of a scene, and None for any other tag.
        last: greatest value of the last cell.

    Behind the cells listed there is one for unknown.
    """

    sensor: Sensor
    firsts: tuple[int | str | None, ...]
    last: int = 0

    @property
    def unknown(self) -> int:
        """The mask of the cell for unknown."""
        return 1 << len(self.firsts)

    @property
    def everything(self) -> int:
        """The mask of all cells."""
        return 2 * self.unknown - 1

    @property
    def is_ordered(self) -> bool:
        """Whether cells lie between others."""
        return self.sensor is not Sensor.SCENE

    def cells(self, mask: int) -> list[int]:
        """Indices of the cells of known values in a mask."""
        return [index for index in range(len(self.firsts)) if mask >> index & 1]

    def cell_of(self, value: int) -> int:
        """Index of the cell that a value of an ordered sensor lies in."""
        return sum(isinstance(first, int) and first <= value for first in self.firsts) - 1

    def covered(self, condition: Condition, *, entered: bool) -> int:
        """The mask of what a condition holds for, while its rule is entered or before."""
        mask = self.unknown if condition.unknown else 0
        for index, first in enumerate(self.firsts):
            if first is not None and condition.holds(first, entered=entered):
                mask |= 1 << index
        return mask

    def describe(self, mask: int) -> str:
        """In words, such as "battery_percent 0 to 20 or unknown"."""
        words = [self._describe_run(run) for run in runs_of(self.cells(mask))] if self.is_ordered else self._tags(mask)
        return f"{self.sensor} {' or '.join([*words, *(['unknown'] if mask & self.unknown else [])])}"

    def _describe_run(self, run: tuple[int, int]) -> str:
        low = self.firsts[run[0]]
        after = self.firsts[run[1] + 1] if run[1] + 1 < len(self.firsts) else self.last + 1
        assert isinstance(low, int) and isinstance(after, int)
        if self.sensor in FLAGS:
            return "yes" if low else "no"
        return str(low) if after - 1 == low else f"{low} to {after - 1}"

    def _tags(self, mask: int) -> list[str]:
        return [repr(tag) if (tag := self.firsts[index]) is not None else "any other" for index in self.cells(mask)]


@dataclass(frozen=True)
class Space:
    """All readings, as far as a policy tells them apart.

    Args:
        policy: whose conditions cut it.
    """

    policy: Policy

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """One for each sensor that a rule looks at, in the order of `Sensor`."""
        return tuple(_axis(sensor, conditions) for sensor in Sensor if (conditions := self._conditions(sensor)))

    @property
    def everything(self) -> Box:
        """The box of all readings."""
        return tuple(axis.everything for axis in self.axes)

    def box(self, rule: Rule, *, entered: bool = False) -> Box:
        """The readings at which a rule is entered, or holds on once it is entered."""
        return tuple(
            axis.covered(rule.when[axis.sensor], entered=entered) if axis.sensor in rule.when else axis.everything
            for axis in self.axes
        )

    def describe(self, box: Box) -> str:
        """In words; sensors that may say anything are left out."""
        words = [axis.describe(mask) for axis, mask in zip(self.axes, box, strict=True) if mask != axis.everything]
        return ", ".join(words) or "any reading"

    def _conditions(self, sensor: Sensor) -> list[Condition]:
        return [rule.when[sensor] for rule in self.policy.rules if sensor in rule.when]


def is_empty(box: Box) -> bool:
    """Whether no reading is in it."""
    return not all(box)


def intersection(box: Box, other: Box) -> Box:
    """The readings that are in both."""
    return tuple(mask & mask_ for mask, mask_ in zip(box, other, strict=True))


def without(boxes: Iterable[Box], others: Sequence[Box]) -> list[Box]:
    """The readings that are in one of the boxes and in none of the others, as boxes that do not overlap each other.

    Args:
        boxes: do not overlap each other.
        others: what is taken away.
    """
    left = [box for box in boxes if not is_empty(box)]
    for other in others:
        left = [rest for box in left for rest in _without(box, other)]
    return left


def _without(box: Box, other: Box) -> list[Box]:
    """Axis by axis: what lies outside of `other` there is cut off, and what is left goes on to the next axis."""
    if is_empty(intersection(box, other)):
        return [box]
    rests = []
    for axis, mask in enumerate(other):
        outside = box[axis] & ~mask
        if outside:
            rests.append((*box[:axis], outside, *box[axis + 1 :]))
        box = (*box[:axis], box[axis] & mask, *box[axis + 1 :])
    return rests


def _axis(sensor: Sensor, conditions: Sequence[Condition]) -> Axis:
    if sensor is Sensor.SCENE:
        tags = sorted({tag for condition in conditions for tag in condition.any_of})
        return Axis(sensor, (*tags, None))
    lowest, highest = RANGES[sensor]
    firsts = {lowest, highest} if sensor in FLAGS else {lowest}
    for condition in conditions:
        for bounds in (condition.enter, condition.stay):
            if bounds is not None:
                firsts |= {bounds.low or lowest, highest + 1 if bounds.high is None else bounds.high + 1}
    return Axis(sensor, tuple(sorted(first for first in firsts if lowest <= first <= highest)), highest)


def runs_of(cells: Sequence[int]) -> list[tuple[int, int]]:
    """First and last cell of each run of neighbours.

    Args:
        cells: indices, upwards.
    """
    runs: list[tuple[int, int]] = []
    for cell in cells:
        if runs and runs[-1][1] == cell - 1:
            runs[-1] = (runs[-1][0], cell)
        else:
            runs.append((cell, cell))
    return runs
